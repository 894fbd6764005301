/** Compiles the launcher of the resident form, and puts it under the names of all plugins. */
import { execFileSync } from 'node:child_process';
import { linkSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AGENT_SOCKET } from '../lib/cli/program.ts';
import { compact } from '../lib/cni/json.ts';
import { versionText } from '../lib/cni/run.ts';
import { makeFolder } from '../lib/sys/atomic-file.ts';
import { LAUNCHER_MARK } from '../lib/sys/build-id.ts';
import { ROOT } from './compile.ts';

/** Nothing of a C library, and as few pages as possible. */
const FLAGS = [
  ...['-Os', '-Wall', '-Wextra', '-Werror'],
  ...['-ffreestanding', '-fno-builtin', '-fno-stack-protector', '-fno-asynchronous-unwind-tables', '-nostdlib'],
  ...['-static', '-no-pie', '-Wl,--build-id=none', '-Wl,-z,noexecstack', '-Wl,-z,noseparate-code', '-s'],
];

/**
 * @param folder gets the launchers
 * @param standalone the program that they execute where no agent listens
 */
export function writeLaunchers(folder: string, launcher: Buffer, plugins: readonly string[], standalone: string): void {
  makeFolder(join(folder, '.braid'), { mode: 0o755, sync: false });
  const [first = '', ...others] = plugins;
  const path = join(folder, first);
  writeFileSync(path, launcher, { mode: 0o755 });
  for (const name of others) {
    linkSync(path, join(folder, name));
  }
  linkSync(standalone, join(folder, '.braid/standalone'));
}

/** The launcher with its mark. It must know some things of the programs, which have it in them for `braid install`. */
export function compileLauncher(plugins: readonly string[]): Buffer {
  const workshop = mkdtempSync(join(tmpdir(), 'braid-launcher-'));
  try {
    writeFileSync(join(workshop, 'generated.h'), generated(plugins));
    const source = join(ROOT, 'bundle/launcher/launcher.c');
    const output = join(workshop, 'launcher');
    execFileSync('cc', [...FLAGS, '-I', workshop, '-o', output, source], { stdio: 'inherit' });
    return Buffer.concat([readFileSync(output), LAUNCHER_MARK]);
  } finally {
    rmSync(workshop, { recursive: true });
  }
}

const generated = (plugins: readonly string[]): string =>
  [
    `#define PLUGINS "${plugins.map((name) => `${name}\\0`).join('')}"`,
    `#define VERSION_ANSWER ${compact(versionText())}`,
    `#define SOCKET "${AGENT_SOCKET}"`,
    '',
  ].join('\n');
