/** How long ago, to the unit that matters: "just now", "12 s ago", "3 min ago", "5 h ago", "2 d ago". */
export function agoText(ms: number): string {
  return ms < 2_000 ? 'just now' : `${spanText(ms)} ago`;
}

/** A span to one unit: "12 s", "3 min", "5 h", "2 d". */
export function spanText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h`;
  return `${Math.floor(hours / 24)} d`;
}

const clockFormat = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const dayFormat = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });

/** A moment in local time: the time of day, with the day before it when that is not the day of `now`. */
export function momentText(time: number, now: number): string {
  const clock = clockFormat.format(time);
  const day = dayFormat.format(time);
  return day === dayFormat.format(now) ? clock : `${day}, ${clock}`;
}

const minuteFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

/** A tick of a time axis whose ticks are `stepMs` apart: the time of day, and the date where a day begins. */
export function tickText(time: number, stepMs: number): string {
  const moment = new Date(time);
  const isMidnight = moment.getHours() === 0 && moment.getMinutes() === 0 && moment.getSeconds() === 0;
  if (isMidnight || stepMs >= 86_400_000) return dayFormat.format(time);
  return stepMs < 60_000 ? clockFormat.format(time) : minuteFormat.format(time);
}
