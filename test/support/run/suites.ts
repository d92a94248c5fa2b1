import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

const REPOSITORY = join(import.meta.dirname, "..", "..", "..");

/** A set of tests that one command runs. */
export interface Suite {
  /** Printed before the tests start: the duration on two quiet cores, and what other suites add. */
  about: string;
  /** Selects test files by their text. */
  matches(source: string, path: string): boolean;
  /** Selects tests by their tags, see https://vitest.dev/guide/test-tags. */
  tagsFilter?: string;
  /** Whether the suite also runs two real coding agents and some workloads. */
  hasPrograms?: boolean;
}

/** Tags the whole file: `// @module-tag slow`. */
const moduleTag = (tag: string) => new RegExp(`^// @module-tag ${tag}$`, "m");
const SLOW_FILE = moduleTag("slow");
const ANY_USER_FILE = moduleTag("any-user");
/** Tags one test, one `describe` or rows of a table. */
const SLOW_TEST = /\["slow"\]|\btags: "slow"|\btestRows\b/;

/** Files whose slow tests differ between users. Of others the quick tests show the difference. */
const OF_WALLS = /^test\/runtime\/(sandbox\/|network\/outbound\/|[^/]+$)/;

export const SUITES: Record<string, Suite> = {
  quick: {
    about:
      "The quick suite takes about 4 minutes on two cores. `npm run test:all` runs the slow tests, about 15 more.",
    matches: (source) => !SLOW_FILE.test(source),
    tagsFilter: "!slow",
  },
  slow: {
    about:
      "The slow tests take about 15 minutes on two cores: crash rounds, floods, faults at every call, package installs, a browser, and beside them coding agents and workloads. `npm test` runs all others.",
    matches: (source) => SLOW_FILE.test(source) || SLOW_TEST.test(source),
    tagsFilter: "slow",
    hasPrograms: true,
  },
  "any-user": {
    about: "The tests whose outcome depends on the user that runs them take about 2 minutes on two cores.",
    matches: (source) => ANY_USER_FILE.test(source) && !SLOW_FILE.test(source),
    tagsFilter: "any-user && !slow",
  },
  "any-user-slow": {
    about:
      "The slow tests of the walls, which depend on the user that runs them, take about a minute on two cores.",
    matches: (source, path) =>
      ANY_USER_FILE.test(source) && (SLOW_FILE.test(source) || SLOW_TEST.test(source)) && OF_WALLS.test(path),
    tagsFilter: "any-user && slow",
  },
};

/** Paths of the suite's test files, relative to the repository. */
export const filesOf = (suite: Suite): string[] => testFiles(suite.matches);

/** Paths of the files whose tests are all slow, relative to the repository. */
export const slowFiles = (): string[] => testFiles((source) => SLOW_FILE.test(source));

function testFiles(matches: Suite["matches"]): string[] {
  return globSync("test/**/*.test.ts", { cwd: REPOSITORY, exclude: ["**/node_modules/**"] })
    .filter((path) => matches(readFileSync(join(REPOSITORY, path), "utf8"), path))
    .sort();
}
