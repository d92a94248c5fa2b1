import type { TreePlace } from "./persistent-tree.ts";
import { namesIn } from "./posix.ts";

/** Characters of a path that a step spells out. The text of a longer path would make a deep tree quadratic. */
const MAX_WHOLE_PATH = 1024;

export const ROOT: TreePlace = { parent: null, name: "", depth: 0 };

/** Returns the place of an absolute path. */
export function placeOf(path: string): TreePlace {
  return namesIn(path).reduce<TreePlace>((parent, name) => placeIn(parent, name), ROOT);
}

export function placeIn(parent: TreePlace, name: string): TreePlace {
  return { parent, name, depth: parent.depth + 1 };
}

/** Returns the absolute path of a place. */
export function pathOf(place: TreePlace): string {
  return new PathWriter().pathOf(place);
}

/** The places from the root, without it, to a place. Places that follow each other in the order of a tree share most of them. */
export class Way {
  readonly places: TreePlace[] = [];

  /** Moves to a place. @returns the number of places that stay on the way */
  to(place: TreePlace): number {
    const down: TreePlace[] = [];
    let at = place;
    for (; at.depth > 0 && this.places[at.depth - 1] !== at; at = at.parent ?? ROOT) down.push(at);
    this.places.length = at.depth;
    for (let next = down.pop(); next !== undefined; next = down.pop()) this.places.push(next);
    return at.depth;
  }

  /** Names behind the first ones. */
  namesFrom(index: number): string[] {
    return this.places.slice(index).map(({ name }) => name);
  }
}

/** Writes the paths of places. Places that follow each other in the order of a tree share most of the work. */
export class PathWriter {
  readonly #top: number;
  readonly #way = new Way();
  /** Paths of the directories on the way, with a slash in front of each name. */
  readonly #paths: string[] = [];

  /** @param top directory to which paths are relative. @default the root */
  constructor(top: TreePlace = ROOT) {
    this.#top = top.depth;
  }

  /** Returns the path, which starts with a slash. */
  pathOf(place: TreePlace): string {
    if (place.depth <= this.#top) return "/";
    return `${this.pathAbove(place)}/${place.name}`;
  }

  /** Returns the path of the directory that holds a place: `""` for the top. */
  pathAbove({ parent }: TreePlace): string {
    const paths = this.#paths;
    paths.length = this.#way.to(parent ?? ROOT);
    for (const { depth, name } of this.#way.places.slice(paths.length))
      paths.push(depth > this.#top ? `${paths.at(-1) ?? ""}/${name}` : "");
    return paths.at(-1) ?? "";
  }
}

/**
 * Writes each place of a tree as a step from the place before it: the number of names that both share, a slash and the other
 * names. A path that is not too long is written whole, and is a step from the root.
 */
export class StepWriter {
  readonly #way = new Way();
  readonly #paths = new PathWriter();

  stepTo(place: TreePlace): string {
    const shared = this.#way.to(place);
    const path = this.#paths.pathOf(place);
    if (path.length <= MAX_WHOLE_PATH) return path;
    return `${shared}/${this.#way.namesFrom(shared).join("/")}`;
  }
}

/** Finds the places of steps. Call it for all steps of a tree, in order. */
export interface Steps {
  /** A part of the tree could not be read: steps from there lead nowhere. */
  lose(): void;
  /** @returns `undefined` for a step that does not lead on from the place before it */
  placeOf(step: string): TreePlace | undefined;
}

/** Reads steps in the memory of one way. Steps that follow each other share the places of their directories. */
export class StepReader implements Steps {
  readonly #way: TreePlace[] = [];

  lose(): void {
    this.#way.length = 0;
  }

  placeOf(step: string): TreePlace | undefined {
    const way = this.#way;
    const found = parsed(step, way.length);
    if (found === undefined) return undefined;
    let depth = found.shared;
    const { names } = found;
    let known = 0;
    while (known < names.length && way[depth]?.name === names[known]) {
      known += 1;
      depth += 1;
    }
    way.length = depth;
    for (const name of names.slice(known)) way.push(placeIn(way.at(-1) ?? ROOT, detached(name)));
    return way.at(-1) ?? ROOT;
  }
}

/** Reads steps so that equal paths have the same place. It keeps all places in memory. */
export class PlaceIndex implements Steps {
  readonly #entries = new Map<TreePlace, Map<string, TreePlace>>();
  #last: TreePlace = ROOT;

  lose(): void {
    this.#last = ROOT;
  }

  placeOf(step: string): TreePlace | undefined {
    const found = parsed(step, this.#last.depth);
    if (found === undefined) return undefined;
    let from = this.#last;
    while (from.depth > found.shared) from = from.parent ?? ROOT;
    this.#last = found.names.reduce((at, name) => this.#entry(at, name), from);
    return this.#last;
  }

  find(path: string): TreePlace {
    return namesIn(path).reduce((at, name) => this.#entry(at, name), ROOT);
  }

  #entry(parent: TreePlace, name: string): TreePlace {
    let names = this.#entries.get(parent);
    if (names === undefined) {
      names = new Map();
      this.#entries.set(parent, names);
    }
    let place = names.get(name);
    if (place === undefined) {
      place = placeIn(parent, detached(name));
      names.set(place.name, place);
    }
    return place;
  }
}

/** @param depth depth of the place before the step */
function parsed(step: string, depth: number): { shared: number; names: string[] } | undefined {
  const end = step.indexOf("/");
  const shared = Number(step.slice(0, end));
  const names = namesIn(step.slice(end));
  return end < 0 || shared > depth || names.includes("..") ? undefined : { shared, names };
}

/** Copies a part of a string, which would keep the whole string in memory. */
const detached = (part: string): string => ` ${part}`.slice(1);

/**
 * Compares places of two trees by the order of their entries: the names of a directory in order, and later the contents of its
 * directories. Each tree's places must come in order.
 */
export class TreeOrder {
  readonly #left = new Way();
  readonly #right = new Way();
  /** Number of names at the start that both ways share. */
  #shared = 0;

  /** @returns a number below 0 if the left place comes first, 0 if both are equal */
  compare(left: TreePlace, right: TreePlace): number {
    this.#shared = Math.min(
      this.#shared,
      this.#left.to(left.parent ?? ROOT),
      this.#right.to(right.parent ?? ROOT),
    );
    const [lefts, rights] = [this.#left.places, this.#right.places];
    while (this.#shared < lefts.length && lefts[this.#shared]?.name === rights[this.#shared]?.name)
      this.#shared += 1;
    const [first, second] = [lefts[this.#shared], rights[this.#shared]];
    if (first === undefined && second === undefined) return byName(left, right);
    // A directory's entries come before the contents of its directories.
    if (first === undefined) return -1;
    return second === undefined ? 1 : byName(first, second);
  }
}

function byName({ name: left }: TreePlace, { name: right }: TreePlace): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
