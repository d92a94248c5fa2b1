// @module-tag slow
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

test("the compiler accepts typed calls and options, and rejects wrong calls and options", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const file = fileURLToPath(new URL("./api.types.ts", import.meta.url));
  const program = ts.createProgram([file], options);
  const diagnostics = ts.getPreEmitDiagnostics(program, program.getSourceFile(file));
  expect(
    ts.formatDiagnostics(diagnostics, {
      getCanonicalFileName: (name) => name,
      getCurrentDirectory: () => root,
      getNewLine: () => "\n",
    }),
  ).toBe("");
});
