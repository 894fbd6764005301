import type { Holder } from './claims.ts';

/** So many reservations of others are found one by one; then all are read at once. */
const MANY = 16;
/** … or in so many tries. */
const MANY_TRIES = 6;

/** Where others are after the lowest addresses too, the search begins within so many, for each that is wanted. */
const SPREAD = 256;
const LEFT_TO_GO = 8;
const CONTENDED_TRIES = 2;
const CONTENDED_ADDRESSES = 4;

/** Times that a full range is looked at again: others may give back what they have claimed at this moment. */
const HOPES = 8;

/** Reservations that a transaction has met and that are others', and whether others are after the same addresses now. */
export class Foreign {
  private holders = new Map<string, Holder>();
  /** since all were read */
  private found = 0;
  private tries = 0;
  private isHoping = false;
  private hopes = HOPES;
  /** addresses, and tries, that others have got the better of at the same time */
  private lost = 0;
  private lostTries = 0;
  private isLost = false;
  private readonly wasContended: boolean;
  private isBesideGo: boolean;

  /** @param was what other calls of this node have seen a moment ago */
  constructor(was: { readonly contended: boolean; readonly besideGo: boolean }) {
    this.wasContended = was.contended;
    this.isBesideGo = was.besideGo;
  }

  /**
   * The Go plugin changes these pools too. It takes the lowest address, and makes the reservation afterwards: its call
   * fails if somebody else has claimed the address meanwhile.
   */
  meetGo(): void {
    this.isBesideGo = true;
  }

  get(name: string): Holder | undefined {
    return this.holders.size === 0 ? undefined : this.holders.get(name);
  }

  find(name: string, holder: Holder): void {
    this.holders.set(name, holder);
    if (holder.isFresh) {
      this.lost++;
      this.isLost = true;
    } else {
      this.found++;
    }
  }

  /** From now on these are all. */
  replace(all: ReadonlyMap<string, Holder>): void {
    this.holders = new Map(all);
    [this.found, this.tries, this.isHoping] = [0, 0, false];
  }

  get mustReadAll(): boolean {
    return this.isHoping || this.found >= MANY || this.tries >= MANY_TRIES;
  }

  /** A try has met somebody who was faster, in a pool or with a reservation. */
  endTry(isInPool: boolean): void {
    this.tries++;
    this.lostTries += isInPool || this.isLost ? 1 : 0;
    this.isLost = false;
  }

  /** Are others after the same addresses at this moment? */
  get isContended(): boolean {
    return this.wasContended || this.lostTries >= CONTENDED_TRIES || this.lost >= CONTENDED_ADDRESSES;
  }

  /** How far from the lowest address a search may begin. */
  spread(wanted: number): number {
    return this.isContended || this.isBesideGo ? SPREAD * wanted : 1;
  }

  /** The Go plugin is after the lowest, one call at a time. */
  get left(): number {
    return this.isBesideGo ? LEFT_TO_GO : 0;
  }

  /** Might a range that seems full not be so a moment later? Then all are read again. */
  hope(): boolean {
    this.isHoping = this.holders.values().some(({ isFresh }) => isFresh) && this.hopes-- > 0;
    return this.isHoping;
  }
}
