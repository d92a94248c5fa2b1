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
  return commentsOf(text).flatMap(split);
}

/** Returns the sentences of a TypeScript file's comments. Consecutive `//` lines are one comment. */
function commentsOf(text: string): Sentence[] {
  const comments: { pos: number; end: number; text: string }[] = [];
  for (const { pos, end } of scanComments(text)) {
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

/**
 * Yields the positions of all comments. TypeScript's scanner does not know where a template continues and where `/` begins
 * a regular expression, so this function rescans both.
 */
function* scanComments(text: string): Generator<{ pos: number; end: number }> {
  const { SyntaxKind } = ts;
  const scanner = ts.createScanner(ts.ScriptTarget.Latest, false, ts.LanguageVariant.Standard, text);
  // Number of open braces inside each template.
  const templates: number[] = [];
  let previous = SyntaxKind.Unknown;
  for (let kind = scanner.scan(); kind !== SyntaxKind.EndOfFileToken; kind = scanner.scan()) {
    if (kind === SyntaxKind.SingleLineCommentTrivia || kind === SyntaxKind.MultiLineCommentTrivia) {
      yield { pos: scanner.getTokenStart(), end: scanner.getTokenEnd() };
    }
    if (kind <= SyntaxKind.LastTriviaToken) continue;
    const depth = templates.length - 1;
    if (kind === SyntaxKind.OpenBraceToken && depth >= 0) templates[depth]! += 1;
    else if (kind === SyntaxKind.CloseBraceToken && depth >= 0) {
      if (templates[depth] === 0) {
        templates.pop();
        kind = scanner.reScanTemplateToken(false);
        if (kind === SyntaxKind.TemplateMiddle) templates.push(0);
      } else templates[depth]! -= 1;
    } else if (kind === SyntaxKind.TemplateHead) templates.push(0);
    else if (kind === SyntaxKind.SlashToken && !endsExpression(previous)) scanner.reScanSlashToken();
    previous = kind;
  }
}

/** Returns whether `/` means division after this token. */
function endsExpression(kind: ts.SyntaxKind): boolean {
  const { SyntaxKind } = ts;
  return (
    kind === SyntaxKind.Identifier ||
    kind === SyntaxKind.NumericLiteral ||
    kind === SyntaxKind.CloseParenToken ||
    kind === SyntaxKind.CloseBracketToken ||
    kind === SyntaxKind.CloseBraceToken
  );
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
