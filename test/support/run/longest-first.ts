import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take a minute or more. Started last, one of them would run alone at the end. */
const LONGEST = [
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
    const place = ({ moduleId }: TestSpecification) => {
      const index = LONGEST.findIndex((path) => moduleId.endsWith(path));
      return index === -1 ? LONGEST.length : index;
    };
    return sorted.sort((one, other) => place(one) - place(other));
  }
}
