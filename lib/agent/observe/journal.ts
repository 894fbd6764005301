/** The agent's log: one JSON object a line. */

export const LEVELS = ['debug', 'info', 'warn', 'error', 'none'] as const;
export type Level = (typeof LEVELS)[number];

export type Fields = Readonly<Record<string, string | number>>;

export interface Journal {
  line(level: Exclude<Level, 'none'>, message: string, fields?: Fields): void;
  /** whether lines of this level are written */
  has(level: Level): boolean;
}

/** sd-daemon(3): journald takes the priority of a line from it, and leaves it out. */
const PRIORITIES = { debug: '<7>', info: '<6>', warn: '<4>', error: '<3>' } as const;

export interface JournalParts {
  /** the least that is written */
  readonly level: Level;
  readonly isJournald: boolean;
  readonly write: (line: string) => void;
  readonly now?: () => Date;
}

export function makeJournal({ level, isJournald, write, now = () => new Date() }: JournalParts): Journal {
  const has = (wanted: Level): boolean => LEVELS.indexOf(wanted) >= LEVELS.indexOf(level) && wanted !== 'none';
  return {
    has,
    line: (wanted, message, fields = {}) => {
      if (has(wanted)) {
        const text = JSON.stringify({ time: now().toISOString(), level: wanted, message, ...fields });
        write(isJournald ? `${PRIORITIES[wanted]}${text}` : text);
      }
    },
  };
}
