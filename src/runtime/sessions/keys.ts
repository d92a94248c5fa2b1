/** Prefix of everything that sessions store. */
export const SESSIONS = "session/";

/** Records by session: how it was made and what became of it. */
export const RECORDS = `${SESSIONS}record/`;

/** How far each transcript goes. */
const POSITIONS = `${SESSIONS}position/`;

/** Events by session, under the number of the last one in each page, so that what comes after a number is one range. */
const PAGES = `${SESSIONS}page/`;

/** Pieces of events that do not fit into one value. */
const PIECES = `${SESSIONS}piece/`;

export function recordPrefix(sessionId: string): string {
  return `${RECORDS}${sessionId}/`;
}

export function recordKey(sessionId: string, part: number): string {
  return `${recordPrefix(sessionId)}${padded(part)}`;
}

export function positionKey(sessionId: string): string {
  return `${POSITIONS}${sessionId}`;
}

export function pagePrefix(sessionId: string): string {
  return `${PAGES}${sessionId}/`;
}

export function pageKey(sessionId: string, lastSeq: number): string {
  return `${pagePrefix(sessionId)}${padded(lastSeq)}`;
}

export function piecePrefix(sessionId: string): string {
  return `${PIECES}${sessionId}/`;
}

export function pieceKey(sessionId: string, seq: number, piece: number): string {
  return `${piecePrefix(sessionId)}${padded(seq)}/${padded(piece)}`;
}

/** Keys are ordered as text. */
function padded(number: number): string {
  return String(number).padStart(16, "0");
}
