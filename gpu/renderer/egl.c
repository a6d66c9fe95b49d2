/* SPDX-License-Identifier: MIT */
/*
 * DOC: contexts by device
 *
 * The display is an EGL device's, not a window system's, so the driver's name is known
 * before anything of a guest is looked at, and no file but the device's is open.
 */
#include "gpu/renderer/egl.h"

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEVICES = 16, GL_RENDERER_NAME = 0x1F01, LEAST_MAJOR = 3, LEAST_MINOR = 3 };

static EGLDisplay display;
static EGLConfig config;

typedef const unsigned char *(*get_string_fn)(unsigned int name);

static bool has_word(const char *list, const char *word)
{
	return list && strstr(list, word);
}

static void copy_text(char *dst, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++)
		dst[n++] = *text >= ' ' && *text <= '~' ? *text : '?';
	dst[n] = '\0';
}

static bool open_device(EGLDeviceEXT device)
{
	static const EGLint wanted[] = {EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT, EGL_SURFACE_TYPE,
					EGL_DONT_CARE, EGL_NONE};
	const PFNEGLGETPLATFORMDISPLAYEXTPROC get_display =
		(PFNEGLGETPLATFORMDISPLAYEXTPROC)eglGetProcAddress("eglGetPlatformDisplayEXT");
	EGLint n = 0;

	display = get_display ? get_display(EGL_PLATFORM_DEVICE_EXT, device, NULL) : EGL_NO_DISPLAY;
	if (display == EGL_NO_DISPLAY || !eglInitialize(display, NULL, NULL))
		return false;
	if (eglBindAPI(EGL_OPENGL_API) &&
	    has_word(eglQueryString(display, EGL_EXTENSIONS), "EGL_KHR_surfaceless_context")) {
		if (!eglChooseConfig(display, wanted, &config, 1, &n) || n < 1)
			config = EGL_NO_CONFIG_KHR;
		return true;
	}
	eglTerminate(display);
	return false;
}

/* What GL calls the driver; false: it has no GL that is new enough. */
static bool name_driver(char *driver, size_t size)
{
	void *context = egl_context_new(LEAST_MAJOR, LEAST_MINOR, false);
	const unsigned char *name = NULL;
	get_string_fn get_string;

	if (!context)
		return false;
	if (egl_context_use(context) == 0) {
		get_string = (get_string_fn)eglGetProcAddress("glGetString");
		name = get_string ? get_string(GL_RENDERER_NAME) : NULL;
		copy_text(driver, size, name ? (const char *)name : "unknown");
		(void)egl_context_use(NULL);
	}
	egl_context_free(context);
	return name;
}

static bool is_software(const char *driver)
{
	return has_word(driver, "llvmpipe") || has_word(driver, "softpipe") ||
	       has_word(driver, "swrast") || has_word(driver, "SWR");
}

/* Opens one of the two kinds of devices, as their extensions tell them apart. */
static bool try_devices(const EGLDeviceEXT *devices, int n, bool software, char *driver,
			size_t size)
{
	const PFNEGLQUERYDEVICESTRINGEXTPROC query =
		(PFNEGLQUERYDEVICESTRINGEXTPROC)eglGetProcAddress("eglQueryDeviceStringEXT");

	for (int i = 0; query && i < n; i++) {
		if (has_word(query(devices[i], EGL_EXTENSIONS), "EGL_MESA_device_software") !=
			    software ||
		    !open_device(devices[i]))
			continue;
		if (name_driver(driver, size) && (software || !is_software(driver)))
			return true;
		eglTerminate(display);
	}
	return false;
}

int egl_open(bool software, char *driver, size_t driver_size, char *why, size_t why_size)
{
	const PFNEGLQUERYDEVICESEXTPROC query =
		(PFNEGLQUERYDEVICESEXTPROC)eglGetProcAddress("eglQueryDevicesEXT");
	EGLDeviceEXT devices[MAX_DEVICES];
	EGLint n = 0;

	if (!query || !query(MAX_DEVICES, devices, &n)) {
		snprintf(why, why_size, "the host's EGL knows no devices");
		return -ENODEV;
	}
	if (try_devices(devices, n, false, driver, driver_size) ||
	    (software && try_devices(devices, n, true, driver, driver_size)))
		return 0;
	snprintf(why, why_size, "the host has no GPU with OpenGL %d.%d and more", LEAST_MAJOR,
		 LEAST_MINOR);
	return -ENODEV;
}

void *egl_context_new(int major, int minor, bool shared)
{
	const EGLint attributes[] = {EGL_CONTEXT_MAJOR_VERSION,
				     major,
				     EGL_CONTEXT_MINOR_VERSION,
				     minor,
				     EGL_CONTEXT_OPENGL_PROFILE_MASK,
				     EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT,
				     EGL_NONE};

	return eglCreateContext(display, config, shared ? eglGetCurrentContext() : EGL_NO_CONTEXT,
				attributes);
}

void egl_context_free(void *context)
{
	eglDestroyContext(display, context);
}

int egl_context_use(void *context)
{
	/* The API is a thread's own, and virglrenderer has a thread. */
	return eglBindAPI(EGL_OPENGL_API) && eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE,
							    context ? context : EGL_NO_CONTEXT)
		       ? 0
		       : -EIO;
}
