import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execute } from './execute.ts';
import { firstLine, type Outcome } from './outcome.ts';

/** The part of vitest's JSON report used here. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly tags?: readonly string[];
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

export interface VitestRun {
  /** command prefix to run elsewhere, where the given folder is shared */
  readonly within?: (folder: string) => readonly string[];
  /** arguments for vitest: file names, `--exclude` and a name */
  readonly files?: readonly string[];
  /** more variables */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs one project of vitest.config.ts. */
export async function runVitest(
  project: string,
  isVerbose: boolean,
  { within, files = [], env = {} }: VitestRun = {},
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'braid-test-'));
  const file = join(folder, 'report.json');
  try {
    const { exitCode, output } = await execute(
      [
        ...(within?.(folder) ?? []),
        'vitest',
        'run',
        '--project',
        project,
        // Elsewhere may die before there is a summary: then it helps to know which tests finished.
        `--reporter=${isVerbose || within !== undefined ? 'default' : 'dot'}`,
        '--reporter=json',
        `--outputFile.json=${file}`,
        ...files,
      ],
      { shows: isVerbose ? 'all' : undefined, env },
    );
    return outcomeOf(exitCode, output, reportIn(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const withReason = (what: string, message = ''): string => `${what}: ${firstLine(message)}`;

function reportIn(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return undefined; // it died before it could write one: the exit code tells
  }
}

/** A file that could not be loaded has no failed tests, but counts as one; so does an error outside of tests. */
export function outcomeOf(exitCode: number, output: string, report: Report | undefined): Outcome {
  const files = report?.testResults ?? [];
  const tests = files.flatMap(({ assertionResults }) => assertionResults);
  const isBroken = ({ status, assertionResults }: Report['testResults'][number]): boolean =>
    status === 'failed' && assertionResults.every((test) => test.status !== 'failed');
  const failures = files.flatMap((file) =>
    isBroken(file)
      ? [withReason(basename(file.name), file.message)]
      : file.assertionResults
          .filter(({ status }) => status === 'failed')
          .map(({ fullName, failureMessages }) =>
            withReason(`${basename(file.name)}: ${fullName}`, failureMessages?.[0]),
          ),
  );
  if (failures.length === 0 && exitCode !== 0) {
    failures.push(`an error outside of tests, exit code ${exitCode}`);
  }
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failed: failures.length,
    skipped: tests.filter(({ status }) => !['passed', 'failed'].includes(status)).map(({ fullName }) => fullName),
    shown: [...new Set(tests.flatMap(({ status, tags = [] }) => (status === 'passed' ? tags : [])))],
    failures,
    report: output.replace(/^JSON report written to .*\n/m, ''),
  };
}
