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
  /** Whether a path was too long to be written whole. */
  hasSteps = false;

  stepTo(place: TreePlace): string {
    const shared = this.#way.to(place);
    const path = this.#paths.pathOf(place);
    if (path.length <= MAX_WHOLE_PATH) return path;
    this.hasSteps = true;
    return `${shared}/${this.#way.namesFrom(shared).join("/")}`;
  }
}

/** Finds the places of steps. Equal paths have the same place, so no place keeps a whole path. */
export class StepReader {
  readonly #entries = new Map<TreePlace, Map<string, TreePlace>>();
  #last: TreePlace = ROOT;

  /** A part of the tree could not be read: steps from there lead nowhere. */
  lose(): void {
    this.#last = ROOT;
  }

  /** @returns `undefined` for a step that does not lead on from the place before it */
  placeOf(step: string): TreePlace | undefined {
    const end = step.indexOf("/");
    const shared = Number(step.slice(0, end));
    const names = namesIn(step.slice(end));
    if (end < 0 || shared > this.#last.depth || names.includes("..")) return undefined;
    let from = this.#last;
    while (from.depth > shared) from = from.parent ?? ROOT;
    this.#last = names.reduce((at, name) => this.#entry(at, name), from);
    return this.#last;
  }

  /** Finds the place of a path. */
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

/** Copies a part of a string, which would keep the whole string in memory. */
const detached = (part: string): string => ` ${part}`.slice(1);
