//! A batch, in as few statements as can be.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use postgres::{Client, Statement, Transaction};

use super::{
    super::{
        Entry, Label, Prediction,
        slot::Slot,
        sql::{LabelRow, Operation, PredictionRow, Table, micros},
    },
    Around, Failure,
};

/// What is said for every batch.
pub(super) struct Statements {
    select_predictions: Statement,
    select_labels: Statement,
    insert_predictions: Statement,
    insert_labels: Statement,
}

impl Statements {
    pub(super) fn prepare(client: &mut Client) -> Result<Self, postgres::Error> {
        Ok(Self {
            select_predictions: client.prepare(
                "SELECT id, model_version, dataset, output, at_us, token FROM predictions
                WHERE id = ANY($1)",
            )?,
            select_labels: client
                .prepare("SELECT id, truth, at_us, token, early FROM labels WHERE id = ANY($1)")?,
            insert_predictions: client.prepare(
                "INSERT INTO predictions SELECT * FROM unnest($1::text[], $2::text[],
                $3::text[], $4::text[], $5::bigint[], $6::bigint[])",
            )?,
            insert_labels: client.prepare(
                "INSERT INTO labels SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[],
                $4::bigint[], $5::bool[])",
            )?,
        })
    }
}

type Slots<'a> = HashMap<&'a str, Slot, RandomState>;

/// What the server knows of the names in `entries`.
pub(super) fn known<'a>(
    transaction: &mut Transaction<'_>,
    around: &Around<'_>,
    entries: &'a [Entry],
) -> Result<Slots<'a>, Failure> {
    let mut slots = Slots::default();
    for entry in entries {
        slots.entry(entry.id()).or_default();
    }
    let ids: Vec<&str> = entries.iter().map(|entry| &**entry.id()).collect();
    let mut select = |table, statement: &Statement| {
        let work = || transaction.query(statement, &[&ids]);
        around.clock.time(Operation::Select, table, work)
    };
    let rows = select(Table::Predictions, &around.statements.select_predictions)?;
    let label_rows = select(Table::Labels, &around.statements.select_labels)?;
    for row in rows {
        let found = prediction(&row).read()?;
        if let Some(slot) = slots.get_mut(&*found.id) {
            slot.prediction = Some(found);
        }
    }
    for row in label_rows {
        let found = LabelRow {
            id: row.get(0),
            truth: row.get(1),
            at_us: row.get(2),
            token: row.get(3),
        };
        let found = found.read()?;
        if let Some(slot) = slots.get_mut(&*found.id) {
            slot.label = Some(found);
            slot.early = row.get(4);
        }
    }
    Ok(slots)
}

pub(super) fn prediction(row: &postgres::Row) -> PredictionRow {
    PredictionRow {
        id: row.get(0),
        model_version: row.get(1),
        dataset: row.get(2),
        output: row.get(3),
        at_us: row.get(4),
        token: row.get(5),
    }
}

/// New rows, by column, so that one statement brings them all.
#[derive(Default)]
pub(super) struct Predictions {
    ids: Vec<Arc<str>>,
    versions: Vec<Arc<str>>,
    datasets: Vec<Arc<str>>,
    outputs: Vec<String>,
    times: Vec<i64>,
    tokens: Vec<i64>,
}

impl Predictions {
    pub(super) fn push(&mut self, prediction: &Prediction) -> serde_json::Result<()> {
        self.outputs
            .push(serde_json::to_string(&prediction.output)?);
        self.ids.push(Arc::clone(&prediction.id));
        self.versions.push(Arc::clone(&prediction.model_version));
        self.datasets.push(Arc::clone(&prediction.dataset));
        self.times.push(micros(prediction.at));
        self.tokens.push(prediction.token.cast_signed());
        Ok(())
    }

    pub(super) fn insert(
        &self,
        transaction: &mut Transaction<'_>,
        around: &Around<'_>,
    ) -> Result<(), postgres::Error> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let (ids, versions, datasets) = (
            texts(&self.ids),
            texts(&self.versions),
            texts(&self.datasets),
        );
        let work = || {
            transaction.execute(
                &around.statements.insert_predictions,
                &[
                    &ids,
                    &versions,
                    &datasets,
                    &self.outputs,
                    &self.times,
                    &self.tokens,
                ],
            )
        };
        around
            .clock
            .time(Operation::Insert, Table::Predictions, work)
            .map(drop)
    }
}

#[derive(Default)]
pub(super) struct Labels {
    ids: Vec<Arc<str>>,
    truths: Vec<String>,
    times: Vec<i64>,
    tokens: Vec<i64>,
    early: Vec<bool>,
}

impl Labels {
    pub(super) fn push(&mut self, label: &Label, early: bool) -> serde_json::Result<()> {
        self.truths.push(serde_json::to_string(&label.truth)?);
        self.ids.push(Arc::clone(&label.id));
        self.times.push(micros(label.at));
        self.tokens.push(label.token.cast_signed());
        self.early.push(early);
        Ok(())
    }

    pub(super) fn insert(
        &self,
        transaction: &mut Transaction<'_>,
        around: &Around<'_>,
    ) -> Result<(), postgres::Error> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let ids = texts(&self.ids);
        let work = || {
            transaction.execute(
                &around.statements.insert_labels,
                &[&ids, &self.truths, &self.times, &self.tokens, &self.early],
            )
        };
        around
            .clock
            .time(Operation::Insert, Table::Labels, work)
            .map(drop)
    }
}

fn texts(all: &[Arc<str>]) -> Vec<&str> {
    all.iter().map(|text| &**text).collect()
}
