import { expect } from 'vitest';
import { type ErrorCode, errorCodes } from '../../src/contract/error-codes.ts';
import { Problem } from '../../src/contract/rest.ts';
import type { Answer } from './http-client.ts';

/** Whatever fails looks like this: RFC 9457, a code of the registry with its status, the request id, the safe headers. */
export function expectProblem(answer: Answer, code: ErrorCode): Problem {
  expect(answer.headers['content-type']).toBe('application/problem+json');
  const problem = Problem.strict().parse(answer.json());
  expect(problem.code, problem.detail).toBe(code);
  const { status, title } = errorCodes[code];
  expect(problem).toMatchObject({ status, title, type: `urn:pulsegate:problem:${code}` });
  expect(answer.status).toBe(status);
  expect(problem.detail).not.toBe('');
  expect(problem.instance).toBe(answer.headers['x-request-id']);
  expect(problem.instance).toMatch(/^req_[A-Za-z0-9]{20}$/);
  expectSafeHeaders(answer);
  return problem;
}

/** What every answer of the API carries, also the refusals. */
export function expectSafeHeaders(answer: Answer): void {
  expect(answer.headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  });
}
