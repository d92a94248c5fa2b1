import ts from "typescript";

/** A sentence of a comment or a document, with the line where its paragraph starts. */
export interface Sentence {
  line: number;
  text: string;
}

/** Returns the sentences of a program's comments, or of a document without its code and headings. */
export function sentencesOf(path: string, text: string): Sentence[] {
  if (path.endsWith(".md")) return paragraphsOf(text).flatMap(split);
  if (path.endsWith(".pl")) {
    const comments = [...text.matchAll(/(?:^[ \t]*#(?!!).*\n)+/gm)];
    return comments
      .map(({ 0: comment, index }) => ({
        line: lineAt(text, index),
        text: comment.replace(/^[ \t]*#/gm, ""),
      }))
      .flatMap(split);
  }
  return commentsOf(path, text).flatMap(split);
}

/** Returns the sentences of a TypeScript file's comments. Consecutive `//` lines are one comment. */
function commentsOf(path: string, text: string): Sentence[] {
  const comments: { pos: number; end: number; text: string }[] = [];
  for (const { pos, end } of scanComments(parse(path, text))) {
    const comment = text.slice(pos, end);
    const before = comments.at(-1);
    const follows = before !== undefined && /^\n[ \t]*$/.test(text.slice(before.end, pos));
    if (comment.startsWith("//") && follows) {
      before.text += ` ${comment.slice(2)}`;
      before.end = end;
    } else {
      const plain = comment.replace(/\*+\/$/, "").replace(/^\/\*+|^\s*\*|^\/\//gm, "");
      comments.push({ pos, end, text: plain.replace(/@\w+( \{.*?\})?/g, "\n\n") });
    }
  }
  return comments.flatMap(({ pos, text: comment }) =>
    comment.split(/\n\s*\n/).map((paragraph) => ({ line: lineAt(text, pos), text: paragraph })),
  );
}

function parse(path: string, text: string): ts.SourceFile {
  const { Latest: languageVersion } = ts.ScriptTarget;
  return ts.createSourceFile(path, text, {
    languageVersion,
    jsDocParsingMode: ts.JSDocParsingMode.ParseNone,
  });
}

/** Returns the comments of all tokens, in their order. Text of JSX that looks like a comment belongs to no token's trivia. */
function scanComments(source: ts.SourceFile): ts.CommentRange[] {
  const comments = new Map<number, ts.CommentRange>();
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.JsxText) return;
    const children = node.getChildren(source);
    children.forEach(visit);
    if (children.length > 0) return;
    const found = [
      ...(ts.getTrailingCommentRanges(source.text, node.pos) ?? []),
      ...(ts.getLeadingCommentRanges(source.text, node.pos) ?? []),
    ];
    for (const comment of found) comments.set(comment.pos, comment);
  };
  visit(source);
  return [...comments.values()].sort((a, b) => a.pos - b.pos);
}

/** Returns the paragraphs, list items and table cells of a document, without code blocks and headings. */
function paragraphsOf(markdown: string): Sentence[] {
  const paragraphs: Sentence[] = [];
  let fenced = false;
  let open: Sentence | undefined;
  markdown.split("\n").forEach((text, index) => {
    const line = index + 1;
    if (/^\s*```/.test(text)) fenced = !fenced;
    if (fenced || /^\s*```|^#|^\s*$|^\|[-:| ]+\|$/.test(text)) {
      open = undefined;
      return;
    }
    if (text.startsWith("|")) {
      const cells = text.replace(/`[^`]*`/g, "x").split("|");
      paragraphs.push(...cells.map((cell) => ({ line, text: cell })));
      open = undefined;
      return;
    }
    if (open === undefined || /^\s*(?:[-*]|\d+\.) /.test(text)) {
      open = { line, text: "" };
      paragraphs.push(open);
    }
    open.text += `${text.replace(/^\s*(?:[-*]|\d+\.) /, "")} `;
  });
  return paragraphs;
}

function split({ line, text }: Sentence): Sentence[] {
  const plain = text
    .replace(/`[^`]*`/g, "x")
    .replace(/\]\([^)]*\)/g, "]")
    .replace(/[*_]{2}/g, "")
    .replace(/\s+/g, " ")
    .trim();
  return plain
    .split(/(?<=[.?!;:])\s+(?=\S)/)
    .map((sentence) => ({ line, text: sentence }))
    .filter((sentence) => sentence.text !== "");
}

function lineAt(text: string, position: number): number {
  return text.slice(0, position).split("\n").length;
}
