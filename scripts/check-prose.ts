import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sentencesOf } from "./prose/sentences.ts";

/** Checks comments and documents against the word list of docs/style.md. */
const root = join(import.meta.dirname, "..");

interface Phrase {
  pattern: RegExp;
  instead: string;
}

const phrases = readWordList(readFileSync(join(root, "docs", "style.md"), "utf8"));
const problems = listFiles().flatMap(checkFile);
if (problems.length > 0) {
  console.error(problems.join("\n"));
  console.error("See docs/style.md for the rules.");
  process.exitCode = 1;
}

/** Reads the rows of the word list. In the table a pipe inside a pattern is written `\|`. */
function readWordList(style: string): Phrase[] {
  const table = style.slice(style.indexOf("## Word list"));
  return [...table.matchAll(/^\| `(.+)` \| (.+) \|$/gm)].map(([, pattern = "", instead = ""]) => ({
    pattern: new RegExp(pattern.replaceAll("\\|", "|"), "i"),
    instead,
  }));
}

function listFiles(): string[] {
  const output = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  return output
    .split("\n")
    .filter((path) => /\.(tsx?|m?js|pl|md)$/.test(path) && !/^test\/fixtures\//.test(path))
    .filter((path) => existsSync(join(root, path)));
}

function checkFile(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8");
  return sentencesOf(path, text).flatMap(({ line, text: sentence }) =>
    phrases
      .filter(({ pattern }) => pattern.test(sentence))
      .map(({ pattern, instead }) => {
        const found = pattern.exec(sentence)?.[0].trim();
        return `${path}:${line}: "${found}" in "${sentence.slice(0, 100)}"; write ${instead}`;
      }),
  );
}
