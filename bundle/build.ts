/** `npm run build`: makes dist/. The same input gives the same bytes. */
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  globSync,
  linkSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { BIN_FOLDER } from '../lib/cli/program.ts';
import { unitTexts } from '../lib/cli/resident/units.ts';
import { makeFolder } from '../lib/sys/atomic-file.ts';
import { markOf } from '../lib/sys/build-id.ts';
import { writeChart } from './chart.ts';
import { claimFolder } from './claim.ts';
import { bundle, compileNative, DIST, identify, pluginNames, ROOT } from './compile.ts';
import { buildExecutable } from './executable.ts';
import { compileLauncher, writeLaunchers } from './launchers.ts';
import { writeManual } from './man.ts';
import { bundledPackages } from './packages.ts';
import { writeSchemas } from './schemas.ts';
import { shellStart } from './shell-start.ts';

const OLDEST_NODE = 24;

/** Always the same path: the snapshot contains the paths of its sources. */
const WORKSHOP = '/tmp/braid-build-standalone';

/** Runs before anything that an older Node cannot parse; works on Node 0.12. */
const GUARD = `if (parseInt(process.versions.node, 10) < ${OLDEST_NODE}) {
  console.log(JSON.stringify({ code: 999, msg: 'cannot run on Node ' + process.versions.node + ': Node ${OLDEST_NODE} or newer is needed on the PATH' }, null, 4));
  process.exit(1);
}`;

async function main(): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  for (const part of [
    ...['script', 'standalone', 'resident', 'schema', 'man', 'native', 'work', 'chart', 'image'],
    'SHA256SUMS',
  ]) {
    rmSync(join(DIST, part), { recursive: true, force: true });
  }
  const native = compileNative();
  const launcher = compileLauncher(pluginNames());
  const script = {
    isScript: true,
    target: 'node14',
    nativeBytes: inText(native),
    launcherBytes: inText(launcher),
  };
  const standalone = {
    isScript: false,
    isCallsOnly: false,
    target: 'node26',
    nativeBytes: asset('native'),
    launcherBytes: asset('launcher'),
  };
  const forms = [{ ...script, isCallsOnly: true }, { ...script, isCallsOnly: false }, standalone];
  const bundles = await Promise.all(forms.map((form) => bundle(form, version)));
  const { id, codes } = identify(bundles, Buffer.concat([native, launcher]));
  const [ofPlugins = '', ofBraid = '', ofExecutable = ''] = codes;
  const names = [...pluginNames(), 'braid'];
  writeScript(pluginNames(), ofPlugins, id);
  writeScript(['braid'], ofBraid, id);
  await claimFolder(WORKSHOP);
  writeStandalone(names, buildExecutable(WORKSHOP, ofExecutable, { native, launcher }), id);
  writeLaunchers(join(DIST, 'resident'), launcher, pluginNames(), join(DIST, 'standalone/braid'));
  await writeSchemas();
  await writeManual(version);
  writeNotices();
  writeManifests();
  writeChart(version);
  writeSums();
}

const inText = (bytes: Buffer): string => `Buffer.from('${bytes.toString('base64')}', 'base64')`;

const asset = (name: string): string => `new Uint8Array(require('node:sea').getRawAsset('${name}'))`;

/** License texts of the contents of the programs. */
function writeNotices(): void {
  const texts = bundledPackages(ROOT).map(({ name, license = 'no license' }) => {
    const [path] = globSync(join(ROOT, 'node_modules', name, 'LICEN[SC]E*')).sort();
    return `${name}\n\n${path === undefined ? `${license}\n` : readFileSync(path, 'utf8')}`;
  });
  // the npm package `node` ships its binary without the license
  texts.push(`Node.js\n\n${readFileSync(join(ROOT, 'bundle/licenses/node.txt'), 'utf8')}`);
  writeFileSync(join(DIST, 'NOTICES.txt'), texts.join(`\n\n${'-'.repeat(80)}\n\n`));
}

/** The scripts of all plugins are the same file: a plugin runs its delegates in its own process. */
function writeScript(names: readonly string[], code: string, id: string): void {
  makeFolder(join(DIST, 'script'), { mode: 0o755, sync: false });
  // Without a package.json of its own, the checkout's would make these files ES modules.
  writeFileSync(join(DIST, 'package.json'), '{"type":"commonjs"}\n');
  const [first = '', ...others] = names;
  const path = join(DIST, 'script', first);
  writeFileSync(path, `${shellStart(OLDEST_NODE)}${GUARD}\n${code.trimEnd()}${markOf(id)}`);
  chmodSync(path, 0o755);
  for (const name of others) {
    linkSync(path, join(DIST, 'script', name));
  }
}

function writeStandalone(names: readonly string[], executable: string, id: string): void {
  makeFolder(join(DIST, 'standalone'), { mode: 0o755, sync: false });
  const [first = '', ...others] = names;
  const path = join(DIST, 'standalone', first);
  copyFileSync(executable, path);
  rmSync(WORKSHOP, { recursive: true });
  appendFileSync(path, markOf(id));
  chmodSync(path, 0o755);
  for (const name of others) {
    linkSync(path, join(DIST, 'standalone', name));
  }
}

/** What `kubectl apply` takes, and systemd. */
function writeManifests(): void {
  makeFolder(join(DIST, 'deploy'), { mode: 0o755, sync: false });
  for (const path of globSync(join(ROOT, 'bundle/deploy/*.yaml'))) {
    copyFileSync(path, join(DIST, 'deploy', basename(path)));
  }
  for (const [name, text] of Object.entries(unitTexts(BIN_FOLDER))) {
    writeFileSync(join(DIST, 'deploy', name), text);
  }
}

function writeSums(): void {
  const sums = ['script', 'standalone', 'resident', 'schema', 'man', 'deploy', 'chart'].flatMap((folder) =>
    readdirSync(join(DIST, folder), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name)
      .sort()
      .map((name) => `${sumOf(join(DIST, folder, name))}  ${folder}/${name}\n`),
  );
  writeFileSync(join(DIST, 'SHA256SUMS'), sums.join(''));
}

const sumOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

await main();
