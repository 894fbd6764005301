import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { Configuration } from './configuration.ts';
import { discover } from './discovery.ts';
import { NOTHING_KNOWN } from './facts.ts';
import { SharedRdmaSource } from './shared-rdma/source.ts';
import { SriovSource } from './sriov/source.ts';
import { makeManyFunctions } from './testing/many-functions.ts';

const text = (...resourceList: readonly unknown[]): string => JSON.stringify({ resourceList });
const GOOD = text({ resourceName: 'a', selectors: {} });

function configured(content = GOOD) {
  const folder = temporaryFolder();
  const file = join(folder.path, 'config.json');
  writeFileSync(file, content);
  makeManyFunctions(folder.path, { cards: 1, functions: 1 });
  const source = new SriovSource(file, 'example.com', { root: folder.path, useCdi: false });
  const taken = vi.spyOn(source, 'configure');
  const lines: string[] = [];
  const configuration = new Configuration(source, (line) => lines.push(line));
  taken.mockClear();
  return {
    [Symbol.dispose]: () => folder[Symbol.dispose](),
    ...{ folder: folder.path, file, source, lines, configuration, taken },
  };
}

/** Of resources that a kubelet would be told of. */
function namesOf({ source, folder }: { readonly source: SriovSource; readonly folder: string }): readonly string[] {
  const { devices } = discover(join(folder, 'sys'), NOTHING_KNOWN);
  const { resources } = source.look({ devices, kernel: NOTHING_KNOWN, held: new Map(), now: 0 });
  return resources.map(({ name }) => name.name);
}

const entry = (more: object): string => text({ resourceName: 'b', selectors: {}, ...more });

const MALFORMED: Readonly<Record<string, string>> = {
  'an empty file': '',
  'half a file': GOOD.slice(0, 20),
  'a file and more': `${GOOD}x`,
  'a byte order mark': `\uFEFF${GOOD}`,
  'a comment': `// ours\n${GOOD}`,
  YAML: 'resourceList:\n- resourceName: a\n',
  text: '"a"',
  'a list': `[${GOOD}]`,
  null: 'null',
  'no list': '{"resources":[]}',
  'an empty list': '{"resourceList":[]}',
  'an object for the list': '{"resourceList":{}}',
  'null in the list': text(null),
  'no name': text({ selectors: {} }),
  'no selectors': text({ resourceName: 'b' }),
  'a number as name': entry({ resourceName: 1 }),
  'a name with a slash': entry({ resourceName: 'a/b' }),
  'a name twice': text({ resourceName: 'b', selectors: {} }, { resourceName: 'b', selectors: {} }),
  'an unknown kind': entry({ deviceType: 'gpu' }),
  'text for a list': entry({ selectors: { drivers: 'ice' } }),
  'a number in a list': entry({ selectors: { vendors: [8086] } }),
  'text for a flag': entry({ selectors: { isRdma: 'true' } }),
  'functions that are none': entry({ selectors: { pfNames: ['ens0#0-'] } }),
  'a number as more': entry({ additionalInfo: { '*': { a: 1 } } }),
};

describe('a configuration that cannot be used', () => {
  it.each(Object.entries(MALFORMED))('leaves the one before: %s', (_, content) => {
    using lab = configured();
    writeFileSync(lab.file, content);
    expect(lab.configuration.reread()).toBe(false);
    expect(namesOf(lab)).toEqual(['a']);
    expect(lab.lines).toEqual([
      expect.stringMatching(/^cannot use configuration ".*config\.json": .+; the one before stays in use$/s),
    ]);
    expect(() => new Configuration(lab.source, () => undefined)).toThrow(`cannot use configuration "${lab.file}": `);
  });

  it.each<[string, (file: string) => void]>([
    ['is not there', (file) => rmSync(file)],
    [
      'is a folder',
      (file) => {
        rmSync(file);
        mkdirSync(file);
      },
    ],
    [
      'is a link to itself',
      (file) => {
        rmSync(file);
        symlinkSync(file, file);
      },
    ],
  ])('leaves the one before when it %s', (_, spoil) => {
    using lab = configured();
    spoil(lab.file);
    expect(lab.configuration.reread()).toBe(false);
    expect(namesOf(lab)).toEqual(['a']);
    expect(lab.lines).toHaveLength(1);
  });

  it('is said once, however often it is looked at, and when it is right again', () => {
    using lab = configured();
    writeFileSync(lab.file, 'x');
    for (let time = 0; time < 5; time++) {
      expect(lab.configuration.reread()).toBe(false);
    }
    expect(lab.lines).toHaveLength(1);
    writeFileSync(lab.file, 'y');
    lab.configuration.reread();
    expect(lab.lines).toHaveLength(2);
    writeFileSync(lab.file, GOOD);
    expect(lab.configuration.reread()).toBe(false);
    expect(lab.lines.at(-1)).toBe(`configuration "${lab.file}" is used as it is now`);
    expect(lab.configuration.reread()).toBe(false);
    expect(lab.lines).toHaveLength(3);
  });

  it('is refused for shared RDMA devices too', () => {
    using folder = temporaryFolder();
    const file = join(folder.path, 'config.json');
    writeFileSync(file, '{"configList":[{"resourceName":"a","rdmaHcaMax":1,"devices":["eth0"]}]}');
    const lines: string[] = [];
    const source = new SharedRdmaSource(file, { root: folder.path, useCdi: false });
    const configuration = new Configuration(source, (line) => lines.push(line));
    writeFileSync(file, '{"configList":[]}');
    expect(configuration.reread()).toBe(false);
    expect(lines).toEqual([expect.stringContaining('"configList": there is no resource in it; the one before stays')]);
  });
});

describe('a configuration that has changed', () => {
  const NEXT = text({ resourceName: 'b', selectors: {} });

  it.each<[string, (file: string, folder: string) => void]>([
    ['by writing', (file) => writeFileSync(file, NEXT)],
    [
      'by renaming',
      (file) => {
        writeFileSync(`${file}.new`, NEXT);
        renameSync(`${file}.new`, file);
      },
    ],
    [
      'as ConfigMaps do, by a link',
      (file, folder) => {
        mkdirSync(join(folder, '..data'));
        writeFileSync(join(folder, '..data/config.json'), NEXT);
        rmSync(file);
        symlinkSync('..data/config.json', file);
      },
    ],
  ])('%s is noticed, and taken once', async (_, change) => {
    using lab = configured();
    let rings = 0;
    const watcher = lab.configuration.watch(() => rings++);
    try {
      change(lab.file, lab.folder);
      await expect.poll(() => rings).toBeGreaterThan(0);
      expect(lab.configuration.reread()).toBe(true);
      expect(lab.configuration.reread()).toBe(false);
      expect(namesOf(lab)).toEqual(['b']);
      expect(lab.taken).toHaveBeenCalledTimes(1);
    } finally {
      watcher.close();
    }
  });
});
