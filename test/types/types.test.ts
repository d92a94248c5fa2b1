import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

test("handles, connections and options are typed, and wrong ones are rejected by the compiler", () => {
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
}, 60_000);
