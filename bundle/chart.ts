import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { makeFolder } from '../lib/sys/atomic-file.ts';
import { DIST, ROOT } from './compile.ts';
import { tarOf } from './image/tar.ts';

const DEPLOY = join(ROOT, 'bundle/deploy');
const NAME = 'braid';

/**
 * Makes the chart, as a folder and as the archive that `helm install` takes: its source, with the CRDs that `kubectl
 * apply` takes too.
 *
 * @throws Error when its versions are not that of the program
 */
export function writeChart(version: string): void {
  const source = join(DEPLOY, 'chart');
  const own = globSync('{*,.helmignore,templates/*}', { cwd: source })
    .map((name) => [name, join(source, name)] as const)
    .filter(([, path]) => statSync(path).isFile());
  const crds = globSync('*-crds.yaml', { cwd: DEPLOY }).map((name) => [`files/${name}`, join(DEPLOY, name)] as const);
  const files = [...own, ...crds, ['LICENSE', join(ROOT, 'LICENSE')] as const].map(
    ([name, path]) => [join(NAME, name), readFileSync(path)] as const,
  );
  const chart = readFileSync(join(source, 'Chart.yaml'), 'utf8');
  if (!chart.includes(`\nversion: ${version}\nappVersion: ${version}\n`)) {
    throw new Error(`cannot make the chart: its version in "${relative(ROOT, source)}/Chart.yaml" is not ${version}`);
  }
  for (const [name, content] of files) {
    const path = join(DIST, 'chart', name);
    makeFolder(dirname(path), { mode: 0o755, sync: false });
    writeFileSync(path, content);
  }
  const archive = tarOf(files.map(([path, content]) => ({ path, content, mode: 0o644 })));
  writeFileSync(join(DIST, 'chart', `${NAME}-${version}.tgz`), gzipSync(archive));
}
