package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
)

// code names a reason of refusal. It is part of the interface: openapi.yaml
// lists all of them.
type code string

// The codes.
const (
	codeBadRequest     code = "bad_request"
	codeNotLoggedIn    code = "not_logged_in"
	codeBadLogin       code = "bad_login"
	codeTooManyLogins  code = "too_many_logins"
	codeForbidden      code = "forbidden"
	codeCSRF           code = "csrf"
	codeNotFound       code = "not_found"
	codeMethod         code = "method_not_allowed"
	codeTooLarge       code = "too_large"
	codeMediaType      code = "media_type"
	codeWeakPassword   code = "weak_password"
	codeWrongPassword  code = "wrong_password"
	codeNoPicture      code = "no_picture"
	codeNoRegister     code = "register_unavailable"
	codeTooManyStreams code = "too_many_streams"
	codeBusy           code = "busy"
	codeNotReady       code = "not_ready"
	codeInternal       code = "internal"
	codeCanceled       code = "canceled"

	codeAlreadyTriaged  code = "already_triaged"
	codeNotTriaged      code = "not_triaged"
	codeTooLate         code = "too_late"
	codeNotYours        code = "not_yours"
	codeMovedOn         code = "moved_on"
	codeBadCategory     code = "bad_category"
	codeNoReason        code = "reason_needed"
	codeUnknownPlace    code = "unknown_place"
	codeTooLong         code = "text_too_long"
	codeUnknownDivision code = "unknown_division"
	codeExists          code = "exists"
	codeYourself        code = "yourself"
)

// answer is how a code is shown: an HTTP status and a sentence for the person
// who reads it, in Chinese and in English. Internals stay in the log.
type answer struct {
	status int
	zh, en string
}

// answers returns the table of all codes.
func answers() map[code]answer {
	return map[code]answer{
		codeBadRequest:     {status: http.StatusBadRequest, zh: "请求内容有误", en: "The request is not understood."},
		codeNotLoggedIn:    {status: http.StatusUnauthorized, zh: "请先登录", en: "Please log in first."},
		codeBadLogin:       {status: http.StatusUnauthorized, zh: "用户名或密码不正确", en: "The user name or the password is wrong."},
		codeTooManyLogins:  {status: http.StatusTooManyRequests, zh: "登录失败次数过多,请稍后再试", en: "Too many failed logins. Please wait and try again."},
		codeForbidden:      {status: http.StatusForbidden, zh: "您的岗位没有此项权限", en: "Your role does not allow this."},
		codeCSRF:           {status: http.StatusForbidden, zh: "请求来源校验未通过,请刷新页面后重试", en: "The request did not come from this page. Reload the page and try again."},
		codeNotFound:       {status: http.StatusNotFound, zh: "未找到", en: "There is no such thing."},
		codeMethod:         {status: http.StatusMethodNotAllowed, zh: "不支持此请求方法", en: "This method is not allowed here."},
		codeTooLarge:       {status: http.StatusRequestEntityTooLarge, zh: "请求内容过大", en: "The request body is too large."},
		codeMediaType:      {status: http.StatusUnsupportedMediaType, zh: "请求内容须为 JSON", en: "The request body must be application/json."},
		codeWeakPassword:   {status: http.StatusUnprocessableEntity, zh: "密码须为 10 至 128 个字符,且不含用户名", en: "Use 10 to 128 characters that do not contain the user name."},
		codeWrongPassword:  {status: http.StatusForbidden, zh: "原密码不正确", en: "The old password is wrong."},
		codeNoPicture:      {status: http.StatusNotFound, zh: "此告警没有图片", en: "This alert has no picture."},
		codeNoRegister:     {status: http.StatusServiceUnavailable, zh: "调用登记暂不可用,图片不予显示", en: "The access register cannot be written, so no picture is shown."},
		codeTooManyStreams: {status: http.StatusServiceUnavailable, zh: "实时连接数已达上限", en: "There are too many live connections."},
		codeBusy:           {status: http.StatusServiceUnavailable, zh: "系统繁忙,请稍后再试", en: "The system is busy. Please try again."},
		codeNotReady:       {status: http.StatusServiceUnavailable, zh: "服务尚未就绪", en: "The service is not ready."},
		codeInternal:       {status: http.StatusInternalServerError, zh: "系统内部错误", en: "An internal error occurred."},
		codeCanceled:       {status: http.StatusServiceUnavailable, zh: "请求已中断", en: "The request was interrupted."},

		codeAlreadyTriaged:  {status: http.StatusConflict, zh: "该告警已有研判结论", en: "Somebody has decided on this alert already."},
		codeNotTriaged:      {status: http.StatusConflict, zh: "该告警尚未研判,无可撤销", en: "There is no decision to take back."},
		codeTooLate:         {status: http.StatusConflict, zh: "已超过可撤销的时限(10 分钟)", en: "Ten minutes have passed; the decision can no longer be taken back."},
		codeNotYours:        {status: http.StatusForbidden, zh: "只能撤销本人的研判", en: "Only who made the decision can take it back."},
		codeMovedOn:         {status: http.StatusConflict, zh: "事件已流转,不能撤销", en: "The event has moved on; the decision can no longer be taken back."},
		codeBadCategory:     {status: http.StatusUnprocessableEntity, zh: "视频告警不能生成此类别的事件", en: "Video cannot create an event of this category."},
		codeNoReason:        {status: http.StatusUnprocessableEntity, zh: "请选择理由", en: "A reason is needed."},
		codeUnknownPlace:    {status: http.StatusConflict, zh: "该摄像机的档案尚未上报,暂不能立事件", en: "The camera has not reported its record yet, so the event would have no place."},
		codeTooLong:         {status: http.StatusUnprocessableEntity, zh: "文字过长", en: "The text is too long."},
		codeUnknownDivision: {status: http.StatusNotFound, zh: "没有此行政区划代码", en: "There is no such division."},
		codeExists:          {status: http.StatusConflict, zh: "该用户名已存在", en: "A user of this name exists already."},
		codeYourself:        {status: http.StatusConflict, zh: "不能停用、降级或重置自己的账号", en: "You cannot disable, demote or reset your own account."},
	}
}

// refusal is an error that a client sees: its code, and in detail what exactly
// is wrong, when that helps and gives nothing away.
type refusal struct {
	code   code
	detail string
}

// Error implements error.
func (r *refusal) Error() string {
	if r.detail == "" {
		return string(r.code)
	}
	return string(r.code) + ": " + r.detail
}

func problem(c code) error { return &refusal{code: c} }

func problemf(c code, format string, args ...any) error {
	return &refusal{code: c, detail: fmt.Sprintf(format, args...)}
}

// errorBody is the JSON form of every refusal.
type errorBody struct {
	Code      code   `json:"code"`
	Message   string `json:"message"`
	MessageEN string `json:"message_en"`
	Detail    string `json:"detail,omitempty"`
}

// fail answers with the error and ends the chain. What is not a refusal is an
// internal error: the client sees that it is one, the log sees what.
func (s *Server) fail(c *gin.Context, err error) {
	r, ok := errors.AsType[*refusal](err)
	switch {
	case ok:
	case errors.Is(err, context.Canceled) && c.Request.Context().Err() != nil:
		r = &refusal{code: codeCanceled} // the client is gone, nobody reads this
	default:
		s.log.ErrorContext(c.Request.Context(), "request failed", "route", routeOf(c), "err", err)
		r = &refusal{code: codeInternal}
	}
	a := s.answers[r.code]
	c.AbortWithStatusJSON(a.status, errorBody{Code: r.code, Message: a.zh, MessageEN: a.en, Detail: r.detail})
}
