import { describe, expect, it } from 'vitest';
import { fill, markdownTable } from './docs/markdown.ts';
import { optionsTable } from './docs/options.ts';
import { documents } from './docs.ts';

describe('the documents', () => {
  it('say what the code says (npm run docs writes them)', async () => {
    const outdated = (await documents()).filter(({ text, wanted }) => text !== wanted);
    expect(outdated.map(({ path }) => path)).toEqual([]);
  });
});

describe('fill', () => {
  it('replaces what is between the marks', () => {
    const text = 'a\n<!-- options -->\nold\n<!-- /options -->\nb\n';
    expect(fill(text, 'options', 'new')).toBe('a\n<!-- options -->\nnew\n<!-- /options -->\nb\n');
  });

  it('leaves a text without marks as it is', () => {
    expect(fill('text', 'options', 'new')).toBe('text');
  });

  it('refuses marks that do not end', () => {
    expect(() => fill('<!-- options -->', 'options', 'new')).toThrow('without "<!-- /options -->"');
  });
});

describe('optionsTable', () => {
  it('has a row for each key, those of objects after theirs', () => {
    const schema = {
      properties: {
        name: { type: 'string' },
        mode: { enum: ['', 'bridge', 'vepa'], default: 'bridge', description: 'How | where.' },
        ranges: {
          type: 'array',
          default: [],
          items: { type: 'object', properties: { mtu: { type: 'integer', default: 0, description: 'Size.' } } },
        },
      },
    };
    expect(optionsTable(schema)).toBe(
      markdownTable(
        ['Key', 'Type', 'Default', 'Meaning'],
        [
          ['`mode`', '`bridge`, `vepa`', '`bridge`', 'How | where.'],
          ['`ranges`', 'list of objects', '', ''],
          ['`ranges[].mtu`', 'whole number', '`0`', 'Size.'],
        ],
      ),
    );
  });
});
