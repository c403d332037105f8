import { z } from 'zod';
import { Rule, RuleDraft, RuleList, RulePatch } from '../contract/rule.ts';
import type { Rule as KeptRule } from '../domain/rule.ts';
import { compareText, firstOf } from './page.ts';
import { readPage, writePage } from './page-token.ts';
import { limit, listMax, noParameters, page } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound, RequestRefused, showFault } from './problem.ts';
import { jsonBody, type Route, route } from './route.ts';

const params = z.object({ id: z.string().meta({ description: 'Rule id' }) });
/** Lists of decisions are in order of creation; the id decides between two of the same moment. */
const key = z.tuple([z.string(), z.string()]);

interface Created {
  readonly id: string;
  readonly createdAt: string;
}

export function compareCreated(left: Created, right: Created): number {
  return compareText(left.createdAt, right.createdAt) || compareText(left.id, right.id);
}

/** A page of what the catalog holds, in order of creation. */
export function pageOfCreated<T extends Created>(
  entries: readonly T[],
  query: { readonly limit: number; readonly page?: string | undefined },
  filters: string,
): { items: T[]; next: string | null } {
  const after = query.page === undefined ? null : readPage(filters, query.page, key);
  const rest = after
    ? entries.filter((entry) => compareCreated(entry, { createdAt: after[0], id: after[1] }) > 0)
    : entries;
  const { rows, more } = firstOf(rest, query.limit, compareCreated);
  const last = rows.at(-1);
  return { items: rows, next: more && last ? writePage(filters, [last.createdAt, last.id]) : null };
}

export function ruleRoutes(ports: ApiPorts): readonly Route[] {
  const list = route({
    method: 'GET',
    path: '/api/v1/rules',
    id: 'listRules',
    tag: 'rules',
    summary: 'Rules in order of creation',
    params: noParameters,
    query: z.object({ limit: limit(listMax), page }),
    body: null,
    success: { status: 200, description: 'A page of rules', schema: RuleList },
    handler({ query, filters }) {
      const page = pageOfCreated(ports.catalog.snapshot().rules, query, filters);
      return { items: page.items.map(showRule), next: page.next };
    },
  });

  const create = route({
    method: 'POST',
    path: '/api/v1/rules',
    id: 'createRule',
    tag: 'rules',
    summary: 'Make a rule',
    description:
      'A threshold rule fires once a matching series has been beyond its threshold for `for`, counted in reading time. Exactly one alert is open per rule and series.',
    params: noParameters,
    query: noParameters,
    body: jsonBody(RuleDraft),
    success: { status: 201, description: 'The rule is kept and watches from now on', schema: Rule },
    refusals: ['validation_failed', 'conflict'],
    location: (rule) => `${ports.basePath}/api/v1/rules/${rule.id}`,
    async handler({ body }) {
      check(body);
      return showRule(await ports.catalog.createRule(body));
    },
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/rules/{id}',
    id: 'getRule',
    tag: 'rules',
    summary: 'One rule',
    params,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The rule', schema: Rule },
    refusals: ['not_found'],
    handler: ({ params }) => showRule(ruleOf(params.id)),
  });

  const update = route({
    method: 'PATCH',
    path: '/api/v1/rules/{id}',
    id: 'updateRule',
    tag: 'rules',
    summary: 'Change a rule',
    description:
      'Only what is sent changes; `condition` is replaced as a whole. A new threshold is judged at the next reading; open alerts of series that no longer match resolve as `rule_changed`.',
    params,
    query: noParameters,
    body: jsonBody(RulePatch),
    success: { status: 200, description: 'The rule as it is now', schema: Rule },
    refusals: ['not_found', 'validation_failed', 'conflict'],
    async handler({ params, body }) {
      const { name, device, metric, condition, for: span, severity, enabled } = ruleOf(params.id);
      check({ name, device, metric, condition, for: span, severity, enabled, ...body });
      return showRule(await ports.catalog.updateRule(params.id, body));
    },
  });

  const remove = route({
    method: 'DELETE',
    path: '/api/v1/rules/{id}',
    id: 'deleteRule',
    tag: 'rules',
    summary: 'Delete a rule',
    description: 'Its open alerts resolve as `rule_deleted`.',
    params,
    query: noParameters,
    body: null,
    success: { status: 204, description: 'The rule is gone', schema: z.void() },
    refusals: ['not_found', 'conflict'],
    async handler({ params }) {
      await ports.catalog.deleteRule(ruleOf(params.id).id);
    },
  });

  return [list, create, one, update, remove];

  function ruleOf(id: string): KeptRule {
    const rule = ports.catalog.snapshot().rules.find((rule) => rule.id === id);
    if (!rule) throw notFound('there is no rule with this id; GET /api/v1/rules lists them');
    return rule;
  }

  function check(draft: RuleDraft): void {
    const errors = ports.ruleFaults(draft).map(showFault);
    if (errors.length > 0)
      throw new RequestRefused('validation_failed', 'the rule cannot work; `errors` says why', { errors });
  }
}

/** Field by field: whatever else the catalog may keep of a rule stays inside. */
function showRule(rule: KeptRule): Rule {
  const { id, name, device, metric, condition, for: span, severity, enabled, createdAt, updatedAt } = rule;
  return { id, name, device, metric, condition: { ...condition }, for: span, severity, enabled, createdAt, updatedAt };
}
