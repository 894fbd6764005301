/** Schedules in the form of cron: five fields, in UTC. */

/** Which minutes are meant. */
export interface Schedule {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  /** 0 is Sunday */
  readonly weekdays: ReadonlySet<number>;
  /** a day is meant when its number or its weekday is: cron's rule where both fields are given */
  readonly isEitherDay: boolean;
}

const FIELDS = [
  ['minute', 0, 59],
  ['hour', 0, 23],
  ['day of the month', 1, 31],
  ['month', 1, 12],
  ['day of the week', 0, 7],
] as const;

const NAMES: Readonly<Record<string, number>> = Object.fromEntries([
  ...['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'].map((name, at) => [
    name,
    at + 1,
  ]),
  ...['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'].map((name, at) => [name, at]),
]);

/** @throws Error that quotes the field */
export function parseCron(text: string): Schedule {
  const words = text.trim().split(/\s+/);
  if (words.length !== FIELDS.length) {
    throw new Error(`"${text}" is not a schedule: five fields are expected, as in "30 4 * * *"`);
  }
  const sets = FIELDS.map(([name, first, last], at) => field(words[at] ?? '', name, first, last));
  const [minutes, hours, days, months, weekdays] = sets as [
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
  ];
  return {
    minutes,
    hours,
    days,
    months,
    weekdays: new Set([...weekdays].map((day) => day % 7)),
    isEitherDay: !words[2]?.startsWith('*') && !words[4]?.startsWith('*'),
  };
}

/** `*`, `5`, `1-5`, each also with `/step`, and lists of them. */
function field(text: string, name: string, first: number, last: number): Set<number> {
  const values = new Set<number>();
  for (const item of text.split(',')) {
    const [, from = '', to, step] = /^(\*|\?|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(item) ?? [];
    const isAll = from === '*' || from === '?';
    const start = isAll ? first : numberIn(from);
    const end = isAll ? last : to === undefined ? (step === undefined ? start : last) : numberIn(to);
    const by = step === undefined ? 1 : Number(step);
    if (!(start >= first && end <= last && start <= end && by >= 1)) {
      throw new Error(`"${text}" is not a ${name}`);
    }
    for (let value = start; value <= end; value += by) {
      values.add(value);
    }
  }
  return values;
}

const numberIn = (text: string): number =>
  /^\d+$/.test(text) ? Number(text) : (NAMES[text.toLowerCase()] ?? Number.NaN);

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** A 29 February may be eight years away. */
const FARTHEST_MS = 9 * 366 * DAY_MS;

/**
 * The first minute after a time that is meant.
 *
 * @returns undefined when there is none: the 30 February
 */
export function nextTime(schedule: Schedule, afterMs: number): number | undefined {
  let time = (Math.floor(afterMs / MINUTE_MS) + 1) * MINUTE_MS;
  const end = afterMs + FARTHEST_MS;
  while (time <= end) {
    const date = new Date(time);
    if (!isDay(schedule, date)) {
      time = (Math.floor(time / DAY_MS) + 1) * DAY_MS;
    } else if (schedule.hours.has(date.getUTCHours()) && schedule.minutes.has(date.getUTCMinutes())) {
      return time;
    } else {
      time += MINUTE_MS;
    }
  }
  return undefined;
}

function isDay({ months, days, weekdays, isEitherDay }: Schedule, date: Date): boolean {
  const [isNumber, isWeekday] = [days.has(date.getUTCDate()), weekdays.has(date.getUTCDay())];
  return months.has(date.getUTCMonth() + 1) && (isEitherDay ? isNumber || isWeekday : isNumber && isWeekday);
}
