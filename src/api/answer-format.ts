import { parameterRefused, RequestRefused } from './problem.ts';

/** The forms in which readings are answered, as `format=` names them. */
export const answerFormats = ['json', 'columns', 'ndjson', 'csv', 'senml', 'influx'] as const;
export type AnswerFormat = (typeof answerFormats)[number];

/** What stands in `Accept` for each; of two that a client likes alike the first is answered. */
export const mediaTypes = {
  json: 'application/json',
  columns: 'application/vnd.pulsegate.columns+json',
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
  senml: 'application/senml+json',
  influx: 'text/plain',
} as const satisfies Readonly<Record<AnswerFormat, string>>;

/** As they stand above an answer. */
export const contentTypes: Readonly<Record<AnswerFormat, string>> = {
  ...mediaTypes,
  csv: 'text/csv; charset=utf-8; header=present',
  influx: 'text/plain; charset=utf-8',
};

/**
 * The form to answer in: the one that `format` names, or else that of `offered` which the client's `Accept` likes best.
 * Refuses with 400 a named form that this question is not answered in, and with 406 (`not_acceptable`) where `Accept` fits none.
 */
export function chooseFormat(
  asked: AnswerFormat | undefined,
  offered: readonly AnswerFormat[],
  accepts: (mediaTypes: readonly string[]) => string | null,
): AnswerFormat {
  if (asked !== undefined) {
    if (offered.includes(asked)) return asked;
    throw parameterRefused('format', `format=${asked} is not offered for this question; ${offered.join(', ')} are`);
  }
  const accepted = accepts(offered.map((name) => mediaTypes[name]));
  const chosen = offered.find((name) => mediaTypes[name] === accepted);
  if (chosen !== undefined) return chosen;
  const list = offered.map((name) => `${mediaTypes[name]} (format=${name})`).join(', ');
  throw new RequestRefused('not_acceptable', `this is answered as ${list}`);
}
