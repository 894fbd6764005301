/** `./scripts/bench`: ours and the peer in turn, in a lab of network namespaces. */
import { existsSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installPeers } from '../peers/peers.ts';
import type { Bench } from './bench.ts';
import { BENCHES, benchesNamed } from './benches.ts';
import { emptyProgram } from './empty.ts';
import { Lab, labName, runInside } from './lab.ts';
import { pictureOf } from './picture.ts';
import { type Figure, figuresOf, type Samples, tableOf } from './report.ts';
import type { Sample, Tools } from './subjects.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const DEFAULT_RUNS = 20;

interface Wanted {
  readonly runs: number;
  readonly only: readonly string[];
  readonly json: string | undefined;
  readonly multus: string | undefined;
}

/** @throws Error naming what cannot be used */
function readArguments(): Wanted {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: 'string', default: String(DEFAULT_RUNS) },
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      peer: { type: 'string' },
    },
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) {
    throw new Error(`cannot use --runs "${values.runs}": not a number from 1 up`);
  }
  const only = [...values.only, ...positionals];
  const unknown = only.find((word) => benchesNamed([word]).length === 0);
  if (unknown !== undefined) {
    const names = new Set(BENCHES.flatMap(({ name, group }) => group ?? name));
    throw new Error(`there is no bench "${unknown}": they are ${[...names].join(', ')}`);
  }
  if (values.peer !== undefined && !existsSync(join(values.peer, 'multus'))) {
    throw new Error(`cannot use --peer "${values.peer}": there is no multus in it`);
  }
  return { runs, only, json: values.json, multus: values.peer };
}

async function measure(bench: Bench, runs: number): Promise<Samples> {
  const samples: Record<string, Sample[]> = {};
  const { warmUp = 1, part = 1 } = bench;
  const counted = Math.max(1, Math.round(runs * part));
  const names = Object.keys(bench.subjects);
  for (let round = -warmUp; round < counted; round++) {
    // Who comes first changes from round to round: what one leaves to the kernel, another would pay for.
    const shift = Math.abs(round) % names.length;
    for (const name of [...names.slice(shift), ...names.slice(0, shift)]) {
      const sample = await bench.subjects[name]?.();
      if (round >= 0 && sample !== undefined) {
        samples[name] = [...(samples[name] ?? []), sample];
      }
    }
  }
  return samples;
}

async function inside(prefix: string, { runs, only, json, multus }: Wanted): Promise<void> {
  const lab = new Lab(prefix);
  const peers = installPeers();
  const tools: Tools = {
    lab,
    ours: join(process.env['BRAID_DIST'] ?? join(ROOT, 'dist'), 'standalone'),
    peers,
    multus: multus ?? (existsSync(join(peers, 'multus')) ? peers : undefined),
    empty: emptyProgram(),
  };
  const figures: Figure[] = [];
  for (const { name, make } of benchesNamed(only)) {
    const bench = await make(tools);
    try {
      console.error(`${name}: ${bench.about}`);
      figures.push(...figuresOf(bench, await measure(bench, runs)));
    } finally {
      await bench.close?.();
    }
    lab.removePods();
  }
  console.log(`\n${tableOf(figures)}\n\nmin / median / 95th percentile in ms; compared are the medians`);
  if (json !== undefined) {
    const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version, arch: process.arch };
    writeFileSync(json, `${JSON.stringify({ machine, runs, figures }, null, 2)}\n`);
    const picture = pictureOf(figures);
    if (picture !== undefined) {
      writeFileSync(json.replace(/(\.json)?$/, '.svg'), picture);
    }
  }
}

async function main(): Promise<number> {
  const wanted = readArguments();
  const prefix = labName();
  if (prefix !== undefined) {
    await inside(prefix, wanted);
    return 0;
  }
  installPeers(); // outside of the lab, which has no way to anywhere
  return runInside(import.meta.filename, process.argv.slice(2));
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  },
);
