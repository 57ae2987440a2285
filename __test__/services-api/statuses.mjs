// @ts-check
// Which HTTP status each error of the package becomes. 4xx: the caller's doing; 5xx: not. Whether to try again says `retryable`.

/** @type {Record<import('@oo/bandits').BanditErrorCode, number>} */
export const STATUSES = {
  ERR_INVALID_ARGUMENT: 400,
  ERR_NO_CANDIDATES: 400,
  ERR_UNKNOWN_POLICY: 400,
  ERR_UNKNOWN_PROMPT_VERSION: 400,
  ERR_UNKNOWN_DECISION: 404,
  ERR_INSUFFICIENT_DATA: 409,
  ERR_INTERNAL: 500,
  ERR_STATE_CORRUPT: 500,
  ERR_UNSUPPORTED: 501,
  ERR_LLM_STATUS: 502,
  ERR_LLM_INVALID_REPLY: 502,
  ERR_BACKPRESSURE: 503,
  ERR_CLOSED: 503,
  ERR_LLM_UNREACHABLE: 503,
  ERR_NATS_UNREACHABLE: 503,
  ERR_STATE_IO: 503,
  ERR_STATE_LOCKED: 503,
}
