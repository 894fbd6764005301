import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { Configurations } from './configurations.ts';
import type { Source } from './source.ts';

function lab(root: string) {
  const file = join(root, 'a/b/config.json');
  const lines: string[] = [];
  const taken: string[] = [];
  const node = { fault: '' };
  const source: Source = {
    file,
    demand: async () => {
      if (node.fault !== '') {
        throw new Error(node.fault);
      }
    },
    configure: (content) => {
      if (content === 'bad') {
        throw new Error('it is bad');
      }
      taken.push(content);
    },
    look: () => ({ resources: [], againMs: 0 }),
    end: () => undefined,
  };
  const write = (content: string): void => {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    writeFileSync(`${file}.new`, content);
    renameSync(`${file}.new`, file);
  };
  const log = (line: string): void => void lines.push(line.replace(/no such file.*'(?=;|$)/, ''));
  return { file, lines, taken, node, write, source, log, awaited: new Configurations([source], log, true) };
}

describe('a configuration', () => {
  it('must be usable from the beginning, where nobody waits for it', () => {
    using folder = temporaryFolder();
    const { source, file, write, log } = lab(folder.path);
    expect(() => new Configurations([source], log)).toThrow(`cannot use configuration "${file}": ENOENT`);
    write('bad');
    expect(() => new Configurations([source], log)).toThrow(`cannot use configuration "${file}": it is bad`);
    write('good');
    expect(new Configurations([source], log).inUse).toEqual([source]);
  });

  it('may come later, where somebody waits; what is wrong is said once', async () => {
    using folder = temporaryFolder();
    const { awaited, source, file, write, lines, taken } = lab(folder.path);
    const reread = async () => [await awaited.reread(), await awaited.reread(), awaited.isWaiting];
    expect(await reread()).toEqual([false, false, true]);
    write('bad');
    expect(await reread()).toEqual([false, false, true]);
    expect(awaited.inUse).toEqual([]);
    write('good');
    expect(await reread()).toEqual([true, false, false]);
    write('bad');
    expect(await reread()).toEqual([false, false, false]);
    expect(awaited.inUse).toEqual([source]);
    const what = `cannot use configuration "${file}"`;
    expect(lines).toEqual([
      `${what}: ENOENT: ; nothing is handed out by it yet`,
      `${what}: it is bad; nothing is handed out by it yet`,
      `configuration "${file}" is used as it is now`,
      `${what}: it is bad; the one before stays in use`,
    ]);
    expect(taken).toEqual(['good']);
  });

  it('is not used on a node that is not as it must be, which keeps no other from being used', async () => {
    using folder = temporaryFolder();
    using other = temporaryFolder();
    const [one, two] = [lab(folder.path), lab(other.path)];
    const both = new Configurations([one.source, two.source], one.log, true);
    one.write('good');
    two.write('good');
    one.node.fault = 'cannot share';
    expect([await both.reread(), await both.reread()]).toEqual([true, false]);
    expect(both.inUse).toEqual([two.source]);
    expect(one.lines.filter((line) => line === 'cannot share')).toHaveLength(1);
    one.node.fault = '';
    expect(await both.reread()).toBe(true);
    expect(both.inUse).toEqual([one.source, two.source]);
  });

  it('is heard of when it comes, with its folders, and when these come anew', async () => {
    using folder = temporaryFolder();
    const { awaited, file, write } = lab(folder.path);
    let heard = 0;
    using _ = awaited.watch(() => {
      heard++;
    });
    const hearsOf = async (work: () => void): Promise<void> => {
      const before = heard;
      work();
      await expect.poll(() => heard).toBeGreaterThan(before);
    };
    await hearsOf(() => mkdirSync(join(folder.path, 'a')));
    await hearsOf(() => mkdirSync(join(folder.path, 'a/b')));
    await hearsOf(() => write('good'));
    await hearsOf(() => writeFileSync(file, 'other'));
    await hearsOf(() => rmSync(join(folder.path, 'a'), { recursive: true }));
    await hearsOf(() => write('good'));
  });
});
