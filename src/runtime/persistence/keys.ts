/** Keys of a VM's files in its store. Numbers are padded, so that keys sort as the numbers do. */
const DIGITS = 12;

const padded = (number: number): string => String(number).padStart(DIGITS, "0");

export const HEAD = "fs/head";

/** All keys of one kind lie under its prefix: `fs/pack/000000000007/00`. */
export type Kind = "pack" | "page" | "root" | "journal" | "garbage";

export const prefixOf = (kind: Kind): string => `fs/${kind}/`;

/** A value that may have several parts. */
export const keyOf = (kind: Kind, number: number): string => `${prefixOf(kind)}${padded(number)}`;

export const partOf = (kind: Kind, number: number, part: number): string =>
  `${keyOf(kind, number)}/${String(part).padStart(4, "0")}`;

/** The number in a key. */
export const numberIn = (kind: Kind, key: string): number =>
  Number(key.slice(prefixOf(kind).length, prefixOf(kind).length + DIGITS));
