import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { AlertAnnouncement } from './parts/announcement.tsx';
import { ConnectionBar, ConnectionState } from './parts/connection.tsx';
import { Icon, type IconName } from './parts/icon.tsx';
import { openAlerts, signOut } from './gateway.ts';
import { location } from './location.ts';
import { AlertsPage } from './pages/alerts.tsx';
import { DevicePage } from './pages/device.tsx';
import { DevicesPage } from './pages/devices.tsx';
import { OverviewPage } from './pages/overview.tsx';
import { WebhooksPage } from './pages/webhooks.tsx';
import { QuarantinePage } from './pages/quarantine.tsx';
import { KeyPrompt } from './parts/key-prompt.tsx';
import { EmptyNote } from './parts/note.tsx';
import type { Route } from './route.ts';
import { key, locked } from './session.ts';
import { nextTheme, theme } from './theme.ts';

const entries: readonly {
  readonly page: Route['page'];
  readonly hash: string;
  readonly text: string;
  readonly icon: IconName;
}[] = [
  { page: 'overview', hash: '#/', text: 'Overview', icon: 'overview' },
  { page: 'devices', hash: '#/devices', text: 'Devices', icon: 'devices' },
  { page: 'alerts', hash: '#/alerts', text: 'Alerts', icon: 'alerts' },
  { page: 'webhooks', hash: '#/webhooks', text: 'Webhooks', icon: 'webhooks' },
  { page: 'quarantine', hash: '#/quarantine', text: 'Quarantine', icon: 'quarantine' },
];

/** What stays while pages change: brand, navigation, the state of the connection, the theme. */
export function Shell(): JSX.Element {
  const route = location.value;
  const main = useRef<HTMLElement>(null);
  const title = titleOf(route);
  const open = locked.value === null ? (openAlerts.open.value?.length ?? 0) : 0;
  const place = route.page === 'device' ? `device ${route.device}` : route.page;
  const shownPlace = useRef(place);

  useEffect(() => {
    document.title = `${open > 0 ? `(${open}) ` : ''}${title} · Pulsegate`;
  }, [title, open]);

  // A new page begins at its top and, for who cannot see it, with its heading.
  useEffect(() => {
    if (shownPlace.current === place) return;
    shownPlace.current = place;
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [place]);

  return (
    <>
      <a class="skip" href="#page-main" onClick={(click) => skipTo(click, main.current)}>
        Skip to the page
      </a>
      <header class="top">
        <a class="brand" href="#/" aria-label="Pulsegate, overview">
          <span class="brand-mark">
            <Icon name="pulse" />
          </span>
          <span class="brand-name">Pulsegate</span>
        </a>
        <div class="top-side">
          {locked.value === null && <ConnectionState />}
          {key.value !== null && (
            <button type="button" class="button" onClick={signOut}>
              Sign out
            </button>
          )}
          <button
            type="button"
            class="icon-button"
            onClick={nextTheme}
            title={`Theme: ${theme.value}`}
            aria-label={`Theme: ${theme.value}. Change it`}
          >
            <Icon name={theme.value} />
          </button>
        </div>
      </header>
      <AlertAnnouncement />
      <nav class="rail" aria-label="Pages">
        {entries.map((entry) => (
          <a
            key={entry.page}
            href={entry.hash}
            aria-current={
              entry.page === route.page || (entry.page === 'devices' && route.page === 'device') ? 'page' : undefined
            }
          >
            <Icon name={entry.icon} />
            <span>{entry.text}</span>
            {entry.page === 'alerts' && open > 0 && (
              <span class="count" data-testid="open-alerts" aria-label={`${open} open`}>
                {open > 99 ? '99+' : open}
              </span>
            )}
          </a>
        ))}
      </nav>
      <main ref={main} id="page-main" tabIndex={-1}>
        {locked.value === null ? (
          <>
            <ConnectionBar />
            <Page route={route} />
          </>
        ) : (
          <KeyPrompt reason={locked.value} />
        )}
      </main>
    </>
  );
}

function Page({ route }: { readonly route: Route }): JSX.Element {
  switch (route.page) {
    case 'overview':
      return <OverviewPage />;
    case 'devices':
      return <DevicesPage />;
    case 'device':
      return <DevicePage key={route.device} device={route.device} range={route.range} />;
    case 'alerts':
      return <AlertsPage linked={route.alert} />;
    case 'webhooks':
      return <WebhooksPage />;
    case 'quarantine':
      return <QuarantinePage />;
    default:
      return (
        <EmptyNote title="There is no such page">
          <p>
            <code>{route.hash}</code> leads nowhere. <a href="#/">To the overview</a>
          </p>
        </EmptyNote>
      );
  }
}

function titleOf(route: Route): string {
  if (route.page === 'device') return route.device;
  return entries.find((entry) => entry.page === route.page)?.text ?? 'Not found';
}

/** The hash belongs to the pages, so the jump is made by hand. */
function skipTo(click: Event, target: HTMLElement | null): void {
  click.preventDefault();
  target?.focus();
}
