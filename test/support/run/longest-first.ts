import { BaseSequencer, type TestSpecification } from "vitest/node";
import { seededRandom } from "../random.ts";

/** Variable with a number, from which the order of the files follows. Files that share a process meet others then. */
const ORDER_VARIABLE = "AGENT_VM_TEST_ORDER";

/** Files that take a minute or more. Started last, one of them would run alone at the end. */
export const LONGEST = [
  "test/deploy/image.test.ts",
  "test/runtime/persistence/tree-limits.test.ts",
  "test/package/tarball.test.ts",
  "test/end-to-end/engine-front.test.ts",
  "test/examples/examples.test.ts",
  "test/integrations/integrations.test.ts",
  "test/end-to-end/engine-rounds.test.ts",
  "test/end-to-end/crash.test.ts",
  "test/console/scale.test.ts",
  "test/runtime/persistence/faults.test.ts",
  "test/end-to-end/generated-input.test.ts",
  "test/scale/walk.test.ts",
];

/** Starts the longest files first. In a clean clone vitest has no durations, and starts the largest files first. */
export default class LongestFirst extends BaseSequencer {
  override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(specifications);
    const order = process.env[ORDER_VARIABLE];
    if (order !== undefined) return shuffled(sorted, Number(order));
    const place = ({ moduleId }: TestSpecification) => {
      const index = LONGEST.findIndex((path) => moduleId.endsWith(path));
      return index === -1 ? LONGEST.length : index;
    };
    return sorted.sort((one, other) => place(one) - place(other));
  }
}

function shuffled<Item>(items: readonly Item[], seed: number): Item[] {
  const random = seededRandom(seed);
  return items
    .map((item) => ({ item, place: random.next() }))
    .sort((one, other) => one.place - other.place)
    .map(({ item }) => item);
}
