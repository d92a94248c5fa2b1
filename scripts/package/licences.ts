import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const LICENCE_FILE = /^(licen[cs]e|copying|notice)/i;

/** Licences of packages that neither name nor contain one. */
const UNNAMED: Readonly<Record<string, string>> = {
  vbare: "MIT, as its repository https://github.com/rivet-dev/vbare says. Copyright Rivet Gaming, Inc.",
};

/** @returns the licences of the packages that the modules come from */
export function thirdPartyNotice(modules: Iterable<string>): string {
  const folders = new Set<string>();
  for (const module of modules) {
    const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(module)?.[0];
    if (folder !== undefined) folders.add(folder);
  }
  const notices = [...folders].map(noticeOf).sort();
  return `agent-vm contains these packages.\n\n${notices.join("\n")}`;
}

function noticeOf(folder: string): string {
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const { name, version, author, repository } = about;
  const license = about.license ?? UNNAMED[name] ?? "see below";
  const files = readdirSync(folder)
    .filter((file) => LICENCE_FILE.test(file))
    .sort();
  const texts = files.map((file) => readFileSync(join(folder, file), "utf8").trim());
  if (texts.length === 0 && license === "see below") throw new Error(`${folder} has no licence`);
  // A package without the text of its licence names its author.
  const by = typeof author === "object" ? author?.name : author;
  const origin = typeof repository === "object" ? repository?.url : repository;
  const facts = [`${name} ${version}`, `Licence: ${license}`];
  if (by) facts.push(`Author: ${by}`);
  if (origin) facts.push(`Source: ${origin}`);
  return `${"-".repeat(80)}\n${facts.join("\n")}\n\n${texts.join("\n\n")}\n`;
}
