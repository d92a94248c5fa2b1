// @module-tag slow
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { blocksOf, documents, ROOT } from "./blocks.ts";

/** Compiles the blocks as modules of this package, so that they import it by its name. */
test("every ts block of the documents type-checks", () => {
  const { config } = ts.readConfigFile(join(ROOT, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const modules = new Map(
    documents()
      .flatMap(blocksOf)
      .map(({ place, code }) => [join(ROOT, `${place.replace(/[./:]/g, "-")}.ts`), { place, code }]),
  );
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => modules.has(path) || fileExists(path);
  host.readFile = (path) => modules.get(path)?.code ?? readFile(path);
  host.getSourceFile = (path, target, ...rest) => {
    const block = modules.get(path);
    return block === undefined
      ? getSourceFile(path, target, ...rest)
      : ts.createSourceFile(path, block.code, target);
  };
  const program = ts.createProgram(
    [...modules.keys()],
    { ...options, moduleDetection: ts.ModuleDetectionKind.Force, isolatedModules: false, declaration: false },
    host,
  );
  const problems = [...modules].flatMap(([path, { place }]) =>
    ts.getPreEmitDiagnostics(program, program.getSourceFile(path)).map(({ messageText, start = 0 }) => {
      const { line } = program.getSourceFile(path)!.getLineAndCharacterOfPosition(start);
      const text = modules.get(path)!.code.split("\n")[line];
      return `${place}: ${ts.flattenDiagnosticMessageText(messageText, "\n")} | ${text}`;
    }),
  );
  expect(problems).toEqual([]);
  expect(modules.size).toBeGreaterThan(10);
});
