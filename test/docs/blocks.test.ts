import { expect, test } from "vitest";
import { parseBlocks } from "./blocks.ts";

const FENCE = "```";

test("finds ts blocks with their place, setup and output", () => {
  const markdown = [
    "# Page",
    `${FENCE}ts setup`,
    'import { x } from "y";',
    FENCE,
    "Text.",
    `${FENCE}ts run`,
    "console.log(x);",
    FENCE,
    "",
    `${FENCE}text`,
    "1",
    "",
    "2",
    FENCE,
    `${FENCE}ts`,
    'import "z";',
    FENCE,
    `${FENCE}text`,
    "text after a block that does not run",
    FENCE,
    `${FENCE}json`,
    "{}",
    FENCE,
    `${FENCE}ts`,
    "x();",
    FENCE,
    "Some words.",
    `${FENCE}text`,
    "apart",
    FENCE,
    "",
  ].join("\n");
  const setup = 'import { x } from "y";\n';
  expect(parseBlocks("page.md", markdown)).toEqual([
    { place: "page.md:3", code: setup, continues: false, runs: false, output: undefined },
    {
      place: "page.md:7",
      code: `${setup}console.log(x);\n`,
      continues: true,
      runs: true,
      output: "1\n\n2",
    },
    {
      place: "page.md:16",
      code: 'import "z";\n',
      continues: false,
      runs: false,
      output: "text after a block that does not run",
    },
    { place: "page.md:25", code: `${setup}x();\n`, continues: true, runs: false, output: undefined },
  ]);
});

test("blocks of a page without a setup stand alone", () => {
  expect(parseBlocks("page.md", `${FENCE}ts run\nconsole.log(1);\n${FENCE}\n`)).toEqual([
    { place: "page.md:2", code: "console.log(1);\n", continues: false, runs: true, output: undefined },
  ]);
});

test("refuses a block that is not closed", () => {
  expect(() => parseBlocks("page.md", `${FENCE}ts\nx();\n`)).toThrow("The block in line 2 is not closed");
});
