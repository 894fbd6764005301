/** The image: what is in it, and that it is the same when it is made again. */
import { existsSync, globSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mustRun } from '../lab/execute.ts';
import { DIST, ROOT } from '../lab/programs.ts';

const FOLDER = join(DIST, 'image');

const make = (): Promise<string> => mustRun([process.execPath, join(ROOT, 'bundle/image.ts')]);

interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly components?: readonly Component[];
}

describe('the image', () => {
  it('is the same to the byte when it is made again, and says what it consists of', async () => {
    if (!existsSync(FOLDER)) {
      await make();
    }
    const sums = readFileSync(join(FOLDER, 'SHA256SUMS'), 'utf8');
    rmSync(FOLDER, { recursive: true });
    await make();
    expect(readFileSync(join(FOLDER, 'SHA256SUMS'), 'utf8')).toBe(sums);

    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const { components } = JSON.parse(readFileSync(join(FOLDER, 'sbom.cdx.json'), 'utf8')) as {
      readonly components: readonly Component[];
    };
    const named = new Map(components.map((one) => [one.name, one]));
    for (const [name, version] of Object.entries(dependencies)) {
      expect(named.get(name)?.purl).toBe(`pkg:npm/${name}@${version}`);
    }
    expect(named.get('node')?.version).toBe(process.versions.node);
    expect(named.get('node')?.components?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['openssl', 'v8', 'uv']),
    );
    expect(named.get('libc6')?.purl).toMatch(/^pkg:deb\/\w+\/libc6@/);

    const [archive = ''] = globSync('*.tar', { cwd: FOLDER });
    const layers = join(FOLDER, 'layers');
    await mustRun(['mkdir', layers]);
    await mustRun(['tar', '-xf', join(FOLDER, archive), '-C', layers]);
    const lists: string[] = [];
    for (const blob of globSync('blobs/sha256/*', { cwd: layers })) {
      if (readFileSync(join(layers, blob)).subarray(0, 2).equals(Buffer.of(0x1f, 0x8b))) {
        lists.push(await mustRun(['tar', '-tzf', join(layers, blob)]));
      }
    }
    rmSync(layers, { recursive: true });
    const inside = lists.join('');
    const licensed = ['braid/LICENSE', 'braid/NOTICES.txt'];
    const ofSystem = components
      .filter(({ purl }) => purl.startsWith('pkg:deb/'))
      .map(({ name }) => `${name}/copyright`);
    for (const path of [...licensed, ...ofSystem]) {
      expect(inside).toContain(`usr/share/licenses/${path}\n`);
    }
    expect(inside).toContain('usr/share/sbom/braid.cdx.json\n');
  });
});
