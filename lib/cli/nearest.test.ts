import { describe, expect, it } from 'vitest';
import { nearest, suggestion } from './nearest.ts';

const COMMANDS = ['doctor', 'gc', 'install', 'ipam check', 'ipam import', 'ipam show', 'list', 'uninstall'];

describe('nearest', () => {
  it.each([
    ['lsit', 'list'],
    ['lists', 'list'],
    ['instal', 'install'],
    ['unin', 'uninstall'],
    ['doc', 'doctor'],
    ['show', 'ipam show'],
    ['imprt', 'ipam import'],
    ['ipam chek', 'ipam check'],
    ['cg', 'gc'],
  ])('takes "%s" for "%s"', (word, meant) => {
    expect(nearest(word, COMMANDS)).toBe(meant);
  });
  it.each(['status', 'x', 'remove', ''])('finds nothing close to "%s"', (word) => {
    expect(nearest(word, COMMANDS)).toBeUndefined();
    expect(suggestion(word, COMMANDS)).toBe('');
  });
});
