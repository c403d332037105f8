/**
 * The one registry of error codes. REST problems, WebSocket errors and quarantine reasons all take theirs from here;
 * `status` is the HTTP status of the REST answer and `title` its RFC 9457 title.
 */
export const errorCodes = {
  // A message or reading that is refused.
  payload_empty: { status: 422, title: 'The payload is empty' },
  payload_too_large: { status: 413, title: 'The payload is too large' },
  payload_not_utf8: { status: 422, title: 'The payload is not UTF-8 text' },
  payload_not_json: { status: 400, title: 'The payload is not valid JSON' },
  payload_shape: { status: 422, title: 'The payload does not have an accepted shape' },
  payload_too_deep: { status: 422, title: 'The payload is nested too deeply' },
  topic_invalid: { status: 422, title: 'The topic is malformed' },
  device_invalid: { status: 422, title: 'The device id is malformed' },
  metric_invalid: { status: 422, title: 'The metric name is malformed' },
  value_invalid: { status: 422, title: 'The value cannot be a reading' },
  value_not_finite: { status: 422, title: 'The number is not finite' },
  value_too_long: { status: 422, title: 'The text is too long' },
  time_invalid: { status: 422, title: 'The time cannot be read' },
  time_looks_like_seconds: { status: 422, title: 'The time looks like seconds' },
  time_implausible: { status: 422, title: 'The time is implausible' },
  time_expired: { status: 422, title: 'The reading is older than readings are kept' },
  value_implausible: { status: 422, title: 'The value is outside its plausible range' },
  payload_invalid: { status: 422, title: 'The payload breaks the rules of its dialect' },
  mapping_mismatch: { status: 422, title: 'The payload does not fit its mapping' },
  device_unknown: { status: 422, title: 'The device is not registered' },
  device_pending: { status: 422, title: 'The device waits for approval' },
  device_blocked: { status: 422, title: 'The device is blocked' },
  device_limit: { status: 422, title: 'Too many devices' },
  device_forbidden: { status: 403, title: 'The sender may not speak for this device' },
  series_limit: { status: 422, title: 'Too many series' },
  message_poisonous: { status: 500, title: 'The message cannot be stored' },
  // A request that is refused.
  bad_request: { status: 400, title: 'Bad request' },
  validation_failed: { status: 422, title: 'The request does not have the required shape' },
  parameter_invalid: { status: 400, title: 'A parameter is invalid' },
  cursor_invalid: { status: 400, title: 'The cursor cannot be read' },
  page_invalid: { status: 400, title: 'The page token cannot be read' },
  duration_invalid: { status: 400, title: 'The duration cannot be read' },
  unauthorized: { status: 401, title: 'A key is needed' },
  forbidden: { status: 403, title: 'Not allowed' },
  host_not_allowed: { status: 403, title: 'This Host is not served in open mode' },
  origin_not_allowed: { status: 403, title: 'This Origin is not allowed' },
  proxy_not_allowed: { status: 403, title: 'Forwarded requests are not served in open mode' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  not_acceptable: { status: 406, title: 'Not acceptable' },
  device_exists: { status: 409, title: 'The device exists already' },
  command_expired: { status: 410, title: 'The command has expired' },
  conflict: { status: 409, title: 'Conflict' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  target_not_allowed: { status: 422, title: 'The webhook target is not allowed' },
  rate_limited: { status: 429, title: 'Too many requests' },
  too_many_commands: { status: 429, title: 'Too many open commands' },
  too_many_questions: { status: 429, title: 'Too many questions wait for their answer' },
  too_many_subscriptions: { status: 429, title: 'Too many subscriptions' },
  // A live subscription that is refused or ended.
  op_unknown: { status: 400, title: 'The operation is unknown' },
  filter_invalid: { status: 400, title: 'The filter cannot be read' },
  topic_not_available: { status: 422, title: 'The topic is not available' },
  subscription_exists: { status: 409, title: 'The subscription id is in use' },
  subscription_unknown: { status: 404, title: 'There is no such subscription' },
  client_too_slow: { status: 503, title: 'The client reads too slowly' },
  // Trouble on this side.
  internal: { status: 500, title: 'Internal error' },
  storage_unavailable: { status: 503, title: 'Storage is not available' },
  broker_unavailable: { status: 503, title: 'The MQTT broker is not available' },
  overloaded: { status: 503, title: 'Overloaded' },
  stopping: { status: 503, title: 'The gateway is stopping' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof errorCodes;

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code);
}
