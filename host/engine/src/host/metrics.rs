//! `metrics`: the plugin's own metrics, by handle.

use palisade_contract::metrics::{Kind, Series, Unit};

use super::{Guest, Interface, List, Str};
use crate::abi::{MetricKind, MetricUnit};
use crate::meters::{Declaration, cut};
use crate::state::Stage;

const HELP_BYTES_MAX: usize = 1_000;
const LABELS_MAX: usize = 64;
const VALUES_MAX: usize = 65_536;

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    add_declaring(interface)?;
    interface.func("add", |guest: Guest<'_>, (series, amount): (u32, u64)| {
        match guest.data().meters.at(series)? {
            Series::Counter(counter) => {
                counter.add(amount);
                Ok(())
            }
            Series::Gauge(_) | Series::Histogram(_) => wasmtime::bail!("series {series} is not of a counter"),
        }
    })?;
    interface.func("set", |guest: Guest<'_>, (series, value): (u32, f64)| match guest.data().meters.at(series)? {
        Series::Gauge(gauge) => {
            gauge.set(value);
            Ok(())
        }
        Series::Counter(_) | Series::Histogram(_) => wasmtime::bail!("series {series} is not of a gauge"),
    })?;
    interface.func("shift", |guest: Guest<'_>, (series, by): (u32, f64)| match guest.data().meters.at(series)? {
        Series::Gauge(gauge) => {
            gauge.shift(by);
            Ok(())
        }
        Series::Counter(_) | Series::Histogram(_) => wasmtime::bail!("series {series} is not of a gauge"),
    })?;
    interface.func("record", |mut guest: Guest<'_>, (series, values): (u32, List<f64>)| {
        let mut values = floats(&mut guest, &values)?;
        let state = guest.data_mut();
        let allowed = state.samples.take(values.len(), state.identity.services.clock.now());
        state.identity.stats.drop_samples(values.len() - allowed);
        values.truncate(allowed);
        match guest.data().meters.at(series)? {
            Series::Histogram(histogram) => {
                histogram.record(&values);
                Ok(())
            }
            Series::Counter(_) | Series::Gauge(_) => wasmtime::bail!("series {series} is not of a histogram"),
        }
    })
}

type Declared = (MetricKind, Str, Str, MetricUnit, List<Str>);

fn add_declaring(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("declare", |mut guest: Guest<'_>, (kind, name, help, unit, labels): Declared| {
        if guest.data().stage != Stage::Configure {
            wasmtime::bail!("metrics.declare outside of configure");
        }
        let (name, mut help) = (name.to_str(&guest)?.into_owned(), help.to_str(&guest)?.into_owned());
        cut(&mut help, HELP_BYTES_MAX);
        let labels = texts(&mut guest, &labels)?;
        let state = guest.data_mut();
        let declaration = Declaration { kind: kind.into(), unit: unit.into(), name, help, labels };
        Ok((state.meters.declare(&state.identity, declaration),))
    })?;
    interface.func("series", |mut guest: Guest<'_>, (metric, values): (u32, List<Str>)| {
        let values = texts(&mut guest, &values)?;
        let state = guest.data_mut();
        Ok((state.meters.series(&state.identity, metric, values)?,))
    })
}

fn texts(guest: &mut Guest<'_>, list: &List<Str>) -> wasmtime::Result<Vec<String>> {
    if list.len() > LABELS_MAX {
        wasmtime::bail!("a list of {} labels, at most {LABELS_MAX} are taken", list.len());
    }
    let each = list.each(guest)?;
    each.iter().map(|text| Ok(text.to_str(guest)?.into_owned())).collect()
}

fn floats(guest: &mut Guest<'_>, list: &List<f64>) -> wasmtime::Result<Vec<f64>> {
    if list.len() > VALUES_MAX {
        wasmtime::bail!("a list of {} values, at most {VALUES_MAX} are taken", list.len());
    }
    let mut floats = list.each(guest)?;
    floats.retain(|value| !value.is_nan());
    Ok(floats)
}

impl From<MetricKind> for Kind {
    fn from(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter,
            MetricKind::Gauge => Self::Gauge,
            MetricKind::Histogram => Self::Histogram,
        }
    }
}

impl From<MetricUnit> for Unit {
    fn from(unit: MetricUnit) -> Self {
        match unit {
            MetricUnit::None => Self::None,
            MetricUnit::Seconds => Self::Seconds,
            MetricUnit::Bytes => Self::Bytes,
        }
    }
}
