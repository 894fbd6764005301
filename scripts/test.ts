/** `./scripts/test`: runs tiers of tests, one line each, and counts. */
import { parseArgs } from 'node:util';
import { Failure } from './lab/failure.ts';
import { bad, bold, dim, good } from './lab/terminal.ts';
import { interrupt } from './tiers/execute.ts';
import { countsOf, failure, type Outcome, sum } from './tiers/outcome.ts';
import { FORM_VARIABLE, TIERS, type Tier } from './tiers/tiers.ts';

const FORMS = ['standalone', 'resident'];
/** What tiers do only on request. */
const MORE = ['containerd2', 'aarch64'];

interface Wanted {
  readonly tiers: readonly Tier[];
  readonly skipped: ReadonlySet<string>;
  readonly isVerbose: boolean;
}

/** Of a failure in the list at the end. */
const LONGEST_LINE = 400;

let isInterrupted = false;

/** @throws Failure naming an unknown tier */
function readArguments(): Wanted {
  const { values, positionals } = parseArgs({
    options: {
      skip: { type: 'string', multiple: true, default: [] },
      form: { type: 'string' },
      thorough: { type: 'boolean', default: false },
      with: { type: 'string', multiple: true, default: [] },
      verbose: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  const unknown = values.with.find((word) => !MORE.includes(word));
  if (unknown !== undefined) {
    throw new Failure(`cannot use --with "${unknown}": it must be ${MORE.join(' or ')}`);
  }
  process.env['BRAID_WITH'] = values.with.join(',');
  if (values.thorough) {
    process.env['BRAID_THOROUGH'] = 'true';
  }
  const named = positionals.flatMap(tiersNamed);
  if (values.form !== undefined) {
    takeForm(values.form, named);
  }
  const isWanted = (tier: Tier): boolean =>
    named.length > 0 ? named.includes(tier) : values.form === undefined || !!tier.hasForms;
  return {
    tiers: TIERS.filter(isWanted),
    skipped: new Set(values.skip.flatMap(tiersNamed).map(({ name }) => name)),
    isVerbose: values.verbose,
  };
}

/** @throws Failure for a form that is none, and for tiers whose calls are in no form */
function takeForm(form: string, named: readonly Tier[]): void {
  if (!FORMS.includes(form)) {
    throw new Failure(`cannot use --form "${form}": it must be ${FORMS.join(' or ')}`);
  }
  const other = named.find(({ hasForms }) => hasForms !== true);
  if (other !== undefined) {
    const names = TIERS.filter(({ hasForms }) => hasForms === true).map(({ name }) => name);
    throw new Failure(`cannot use --form with the tier "${other.name}": only ${names.join(', ')} have forms`);
  }
  process.env[FORM_VARIABLE] = form;
}

function tiersNamed(word: string): readonly Tier[] {
  const found = TIERS.filter(({ name, group }) => name === word || group === word);
  if (found.length === 0) {
    const known = [...new Set(TIERS.flatMap(({ name, group }) => (group === undefined ? [name] : [name, group])))];
    throw new Failure(`unknown tier "${word}": tiers are ${known.join(', ')}`);
  }
  return found;
}

async function runTier(tier: Tier, { skipped, isVerbose }: Wanted): Promise<Outcome> {
  if (skipped.has(tier.name)) {
    return { passed: 0, failed: 0, skipped: [`the tier ${tier.name}, by --skip`], report: '' };
  }
  try {
    for (const need of tier.needs) {
      await need();
    }
    return await tier.run(isVerbose);
  } catch (error) {
    const reason = error instanceof Failure ? error.message : String(error);
    return failure(`${reason}\n(use --skip ${tier.name} to leave this tier out)\n`);
  }
}

function print(tier: Tier, outcome: Outcome, seconds: number, isVerbose: boolean): void {
  const sign = outcome.failed > 0 ? bad('✗') : outcome.passed > 0 ? good('✓') : dim('–');
  console.log(
    `${sign} ${bold(tier.name.padEnd(12))} ${countsOf([outcome]).padEnd(40)} ${dim(`${seconds.toFixed(1)} s`)}`,
  );
  for (const title of outcome.skipped) {
    console.log(dim(`    skipped: ${title}`));
  }
  if (outcome.failed > 0 && !isVerbose) {
    console.log(`\n${outcome.report.trimEnd()}\n`);
  }
}

async function main(): Promise<void> {
  const wanted = readArguments();
  const outcomes: Outcome[] = [];
  const runAll = async (tiers: readonly Tier[]): Promise<void> => {
    for (const tier of tiers) {
      const begin = performance.now();
      const outcome = await runTier(tier, wanted);
      if (isInterrupted) {
        throw new Failure('interrupted');
      }
      outcomes.push(outcome);
      print(tier, outcome, (performance.now() - begin) / 1000, wanted.isVerbose);
    }
  };
  const [first = [], ...lanes] = [undefined, 'node', 'machine'].map((lane) =>
    wanted.tiers.filter((tier) => tier.lane === lane),
  );
  await runAll(first);
  await Promise.all(lanes.map(runAll));
  for (const what of outcomes.flatMap(({ failures = [] }) => failures)) {
    console.log(`${bad('failed:')} ${what.slice(0, LONGEST_LINE)}`);
  }
  console.log(`\n${countsOf(outcomes)}`);
  process.exitCode = sum(outcomes, ({ failed }) => failed) === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    isInterrupted = true;
    interrupt(signal);
  });
}

main().catch((error: unknown) => {
  console.error(`test: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
});
