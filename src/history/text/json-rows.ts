import type { RowWriter } from './row-writer.ts';
import { writeRows } from './row-loop.ts';
import { TimeWriter } from './time-text.ts';
import { encoded } from './value-text.ts';

const toValue = encoded('","value":');
const value = { number: toValue, boolean: toValue, text: toValue, quote: JSON.stringify } as const;

/** `{"time":"…","value":…}`, with commas between. */
export const rowsWriter: RowWriter = {
  separated: 'part',
  write(columns, begin, end, _label, out) {
    const time = new TimeWriter(encoded('{"time":"'));
    writeRows({ ...value, time, tail: encoded('},') }, columns, { begin, end }, out);
  },
};

/** `{"device","metric","time","value"}` a line: what `POST /readings` takes. */
export const ndjsonWriter: RowWriter = {
  separated: null,
  write(columns, begin, end, { device, metric }, out) {
    const time = new TimeWriter(
      encoded(`{"device":${JSON.stringify(device)},"metric":${JSON.stringify(metric)},"time":"`),
    );
    writeRows({ ...value, time, tail: encoded('}\n') }, columns, { begin, end }, out);
  },
};
