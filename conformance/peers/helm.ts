/** Helm, with which the chart is checked. `node conformance/peers/helm.ts` builds it and prints its path. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const MODULE = 'helm.sh/helm/v3';
const VERSION = 'v3.19.0';

/** Where it is: BRAID_HELM, or a folder that git ignores. */
const HELM = process.env['BRAID_HELM'] ?? join(import.meta.dirname, '../../.cache/helm/helm');

/**
 * Builds it unless it is there, which takes minutes.
 *
 * @returns its path
 * @throws Error naming what to install when there is no Go
 */
export function installHelm(): string {
  if (existsSync(HELM)) {
    return HELM;
  }
  if (spawnSync('go', ['version']).error !== undefined) {
    throw new Error(
      `there is no ${HELM}, and no "go" to build it: install Go 1.24 or newer, or name one in BRAID_HELM`,
    );
  }
  const folder = mkdtempSync(join(tmpdir(), 'braid-helm-'));
  try {
    mkdirSync(dirname(HELM), { recursive: true });
    writeFileSync(join(folder, 'helm.go'), `package helm\n\nimport _ "${MODULE}/cmd/helm"\n`);
    go(folder, 'mod', 'init', 'helm');
    go(folder, 'mod', 'edit', '-require', `${MODULE}@${VERSION}`);
    const flags = `-s -w -X ${MODULE}/internal/version.version=${VERSION}`;
    go(folder, 'build', '-mod=mod', '-ldflags', flags, '-o', HELM, `${MODULE}/cmd/helm`);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return HELM;
}

function go(cwd: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync('go', args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, CGO_ENABLED: '0' },
  });
  if (status !== 0) {
    throw new Error(`go ${args.join(' ')}: ${stderr}`);
  }
}

if (import.meta.main) {
  console.log(installHelm());
}
