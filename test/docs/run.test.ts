import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runProgram } from "../support/program.ts";
import { testRows } from "../support/rows.ts";
import { type ServerProcess, startTestServer } from "../support/servers.ts";
import { type Block, blocksOf, documents, ROOT } from "./blocks.ts";

let server: ServerProcess;
beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", process: true });
});
afterAll(() => server.stop("SIGTERM"));

const blocks = documents()
  .flatMap(blocksOf)
  .filter(({ runs }) => runs);

/** Makes a program of a block. It uses this test's server, and a VM that no other block uses. */
function programOf({ place, code, continues }: Block): string {
  const program = code
    .replaceAll('"http://localhost:6420"', JSON.stringify(server.endpoint))
    .replaceAll('"my-agent"', JSON.stringify(place));
  return continues ? `${program}await client.dispose();\n` : program;
}

describe.concurrent("every block marked `ts run` runs and prints its output", () => {
  testRows(
    blocks.map((block) => [block.place, block] as const),
    2,
  )("%s", async (_place, block) => {
    const args = [
      "--conditions=agent-vm-source",
      "--input-type=module-typescript",
      "--eval",
      programOf(block),
    ];
    const { code, stdout, stderr } = await runProgram(args, { cwd: ROOT });
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    if (block.output !== undefined) expect(stdout).toBe(`${block.output}\n`);
  });
});

test("the documents have blocks marked `ts run`", () => {
  expect(blocks.length).toBeGreaterThan(5);
});
