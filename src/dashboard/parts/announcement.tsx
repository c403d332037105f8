import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { openAlerts } from '../gateway.ts';
import { metricText, unitText } from '../unit-text.ts';
import { valueText } from '../value-text.ts';

/** Says once, to who cannot see it, that an alert began while the page was open. What was open before is not news. */
export function AlertAnnouncement(): JSX.Element {
  const open = openAlerts.open.value;
  const known = useRef<Set<string> | null>(null);
  const [text, setText] = useState('');
  useEffect(() => {
    if (open === null) return;
    const newest = known.current === null ? undefined : open.find((alert) => known.current?.has(alert.id) === false);
    known.current = new Set(open.map((alert) => alert.id));
    if (newest === undefined) return;
    const value = `${valueText(newest.value)} ${unitText(newest.unit, newest.metric)}`.trim();
    setText(`${newest.severity}: ${newest.rule.name}. ${newest.device}, ${metricText(newest.metric)} ${value}.`);
  }, [open]);
  return (
    <p class="hidden" role="alert">
      {text}
    </p>
  );
}
