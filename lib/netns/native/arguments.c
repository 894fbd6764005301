/* Arguments are checked: a descriptor that is undefined or -1 by mistake must not mean something else. */
#include "native.h"

bool arguments(napi_env env, napi_callback_info info, size_t least, napi_value *argv)
{
	size_t count = MAX_ARGS;

	return napi_get_cb_info(env, info, &count, argv, NULL, NULL) == napi_ok && count >= least;
}

bool is_integer(napi_env env, napi_value value, int *result)
{
	double given = 0;

	if (napi_get_value_double(env, value, &given) != napi_ok || given < INT32_MIN || given > INT32_MAX)
		return false;
	*result = (int)given;
	return *result == given;
}

bool is_descriptor(napi_env env, napi_value value, int *result)
{
	return is_integer(env, value, result) && *result >= 0;
}

bool is_bytes(napi_env env, napi_value value, void **data, size_t *size)
{
	bool is_buffer = false;

	return napi_is_buffer(env, value, &is_buffer) == napi_ok && is_buffer &&
	       napi_get_buffer_info(env, value, data, size) == napi_ok;
}

napi_value number(napi_env env, int64_t value)
{
	napi_value result = NULL;

	napi_create_int64(env, value, &result);
	return result;
}
