import type { SeriesDirectory } from '../domain/series.ts';
import { unitOf } from '../domain/unit.ts';
import type { UnitOf } from './ports.ts';
import type { Value } from '../domain/reading.ts';
import type { Rows } from './rows.ts';

/**
 * Readings as JSON text, put together by hand because this is the hottest loop of the room: what a series contributes
 * is escaped once and kept, and a second of time is formatted once for its thousand milliseconds.
 */
export class ReadingText {
  readonly #directory: SeriesDirectory;
  readonly #unitOf: UnitOf;
  /** By series id: `{"device":"…","metric":"…","time":"` */
  readonly #heads: (string | undefined)[] = [];
  #second = Number.NaN;
  #secondText = '';

  /** Without `unitOf` a unit is what the metric's name tells. */
  constructor(directory: SeriesDirectory, unitOfSeries: UnitOf = (_device, metric) => unitOf(metric)) {
    this.#directory = directory;
    this.#unitOf = unitOfSeries;
  }

  /** `[{"device":…,"metric":…,"time":…,"value":…},…]` of the rows `from` … `to`, the end not included. */
  rows(rows: Rows, from = 0, to = rows.count): string {
    let text = '[';
    for (let row = from; row < to; row++) {
      if (row > from) text += ',';
      text += `${this.#head(rows.series[row])}${this.time(rows.times[row])}","value":${valueText(rows.values[row])}}`;
    }
    return `${text}]`;
  }

  /** `[[n,timeMs,value],…]`, where `n` is the series id. */
  points(rows: Rows, from = 0, to = rows.count): string {
    let text = '[';
    for (let row = from; row < to; row++) {
      if (row > from) text += ',';
      text += `[${rows.series[row]},${rows.times[row]},${valueText(rows.values[row])}]`;
    }
    return `${text}]`;
  }

  /** `[n,device,metric,unit]` */
  seriesName(id: number): string {
    const { device, metric } = this.#directory.series(id);
    return JSON.stringify([id, device, metric, this.#unitOf(device, metric)]);
  }

  /** RFC 3339 in UTC with milliseconds, without quotes. */
  time(ms: number): string {
    const second = Math.floor(ms / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = new Date(second * 1000).toISOString().slice(0, -4);
    }
    const rest = ms - second * 1000;
    return `${this.#secondText}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
  }

  #head(series: number): string {
    let head = this.#heads[series];
    if (head === undefined) {
      const { device, metric } = this.#directory.series(series);
      head = `{"device":${JSON.stringify(device)},"metric":${JSON.stringify(metric)},"time":"`;
      this.#heads[series] = head;
    }
    return head;
  }
}

function valueText(value: Value): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
