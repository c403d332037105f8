/**
 * Where buckets begin. Each begins where the one before it ends; a bucket is `[begin, next)`.
 *
 * - `fixed`: every `width` ms, counted from `origin` (epoch ms).
 * - `wall`: every `width` ms of wall time since midnight in `timeZone`, for widths that divide a day. At the end of summer
 *   time the repeated hour has buckets of its own, unless they are longer than what repeats: then one bucket has it twice.
 * - `calendar`: every `count` days, weeks (from Monday), months, quarters or years in `timeZone`, counted from the day,
 *   week, month … of 1970-01-01; days have 23, 24 or 25 hours.
 */
export type BucketGrid =
  | { readonly kind: 'fixed'; readonly width: number; readonly origin: number }
  | { readonly kind: 'wall'; readonly width: number; readonly timeZone: string }
  | { readonly kind: 'calendar'; readonly unit: CalendarUnit; readonly count: number; readonly timeZone: string };

export const calendarUnits = ['day', 'week', 'month', 'quarter', 'year'] as const;
export type CalendarUnit = (typeof calendarUnits)[number];
