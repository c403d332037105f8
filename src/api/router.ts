import { Router } from '@koa/router';
import type { ParameterizedContext } from 'koa';
import type { Caller } from '../domain/principal.ts';
import type { Asset } from './ports.ts';
import type { Route } from './route.ts';

/** What the API keeps of a request while it is answered. */
export interface RequestState {
  readonly id: string;
  /** Aborts when nobody waits for the answer any more, or nobody shall have it, with what is to be said then. */
  readonly life: AbortController;
  /** Id of the route, `asset` or `unmatched`; for the counters. */
  routeId: string;
  query: URLSearchParams;
  /** The file of the dashboard that was asked for, where no route was. */
  asset: Asset | undefined;
  /** Who asks, once that was judged. */
  caller: Caller;
  /** What a trusted proxy takes away in front of the path. */
  prefix: string;
}

export type Context = ParameterizedContext<RequestState>;

/** The route table as @koa/router runs it: strict about case and slashes at the end. */
export interface RouteMatcher {
  /** Calls the handler of the route that was matched; passes on what matches none. */
  readonly dispatch: ReturnType<Router<RequestState>['routes']>;
  /** The route of a method and path, and every method that the path has. */
  match(method: string, path: string): { readonly route: Route | null; readonly methods: readonly string[] };
}

export function createRouter(
  routes: readonly Route[],
  serve: (route: Route, params: Readonly<Record<string, string>>, context: Context) => Promise<void>,
): RouteMatcher {
  // Specificity: a path without parameters wins over one with, whatever the order in the table.
  const router = new Router<RequestState>({ strict: true, sensitive: true, exclusive: 'specificity' });
  const byId = new Map(routes.map((route) => [route.id, route]));
  for (const route of routes) {
    router.register(
      route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      [route.method],
      (context) => serve(route, context.params, context),
      { name: route.id },
    );
  }
  return {
    dispatch: router.routes(),
    match(method, path) {
      const { path: layers, pathAndMethod } = router.match(path, method);
      const fewest = [...pathAndMethod].sort((left, right) => left.paramNames.length - right.paramNames.length)[0];
      const methods = new Set(layers.flatMap((layer) => layer.methods));
      return {
        route: byId.get(fewest?.name ?? '') ?? null,
        methods: methods.size === 0 ? [] : [...methods, 'OPTIONS'].sort(),
      };
    },
  };
}
