/**
 * What helm makes of the chart. `node conformance/build/chart.ts` writes the golden files, and the manifest that those
 * apply who have no helm.
 */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { installHelm } from '../peers/helm.ts';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(import.meta.dirname, 'chart');
const DIST = process.env['BRAID_DIST'] ?? join(ROOT, 'dist');

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string };

/** As `helm install` takes it. */
export const CHART = join(DIST, `chart/braid-${version}.tgz`);

export interface Helm {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function helm(...words: readonly string[]): Helm {
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', HELM_NO_PLUGINS: '1' };
  const { status, stdout, stderr } = spawnSync(installHelm(), words, { encoding: 'utf8', env });
  return { exitCode: status ?? 1, stdout, stderr };
}

/** Objects of a release in kube-system, as text. */
export const rendered = (...options: readonly string[]): Helm =>
  helm('template', 'braid', CHART, '--namespace', 'kube-system', '--kube-version', '1.34.0', ...options);

export interface Golden {
  readonly name: string;
  readonly path: string;
  readonly options: readonly string[];
}

/** Files of what must come out, with the values that go in. */
export const goldens = (): readonly Golden[] => [
  { name: 'default', path: join(FOLDER, 'default.yaml'), options: [] },
  { name: 'kubectl', path: join(ROOT, 'bundle/deploy/braid.yaml'), options: ['--no-hooks'] },
  ...globSync(join(FOLDER, '*.values.yaml'))
    .sort()
    .map((values) => ({
      name: basename(values, '.values.yaml'),
      path: values.replace('.values.yaml', '.yaml'),
      options: ['--values', values],
    })),
];

if (import.meta.main) {
  for (const { path, options } of goldens()) {
    const { exitCode, stdout, stderr } = rendered(...options);
    if (exitCode !== 0) {
      throw new Error(stderr);
    }
    writeFileSync(path, stdout);
    console.log(`wrote ${path}`);
  }
}
