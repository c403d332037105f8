import { expect, it } from 'vitest';
import { QuestionTurns } from '../../src/storage/sqlite/asking/question-turns.ts';
import { settle } from '../support/pipeline-rig.ts';

it('so many questions go on at once, the others in order of arrival as turns are given back', async () => {
  const turns = new QuestionTurns(2);
  const begun: number[] = [];
  for (const question of [1, 2, 3, 4]) void turns.take().then(() => begun.push(question));
  await settle();
  expect(begun).toEqual([1, 2]);
  turns.giveBack();
  await settle();
  expect(begun).toEqual([1, 2, 3]);
  turns.giveBack();
  turns.giveBack();
  turns.giveBack();
  await settle();
  expect(begun).toEqual([1, 2, 3, 4]);
  for (const question of [5, 6, 7]) void turns.take().then(() => begun.push(question));
  await settle();
  expect(begun).toEqual([1, 2, 3, 4, 5, 6]);
});
