# The Debian packages: `ninja package`, or ./dev package. What is in them is what `cmake --install`
# installs: sandcastle, and sandcastle-desktop with the window, which alone needs SDL.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sandcastle)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Sandcastle developers <sandcastle@localhost>")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL headless)
if(TARGET sandcastle-window)
  list(APPEND CPACK_COMPONENTS_ALL desktop)
endif()
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_HEADLESS_PACKAGE_NAME sandcastle)
set(CPACK_DEBIAN_DESKTOP_PACKAGE_NAME sandcastle-desktop)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "throw-away Linux machines made of this host's own files")
set(CPACK_COMPONENT_HEADLESS_DESCRIPTION
"Sandcastle runs a command in a virtual machine that is made of the files of the
host it runs on, read-only below a layer in memory, and that is gone when the
command ends. It needs /dev/kvm and no privileges, no image and no daemon.")
set(CPACK_COMPONENT_DESKTOP_DESCRIPTION
"sandcastle-window shows the screen of a running sandbox in a window and lets
one type and click there. It draws with SDL through shared memory: neither the
host nor the guest needs a GPU.")
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
# Library packages and their least versions, from the programs themselves.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Those that are loaded by name (common/lazy_lib.h).
set(CPACK_DEBIAN_HEADLESS_PACKAGE_DEPENDS "libarchive13, libxml2, libslirp0")
set(CPACK_DEBIAN_DESKTOP_PACKAGE_DEPENDS "sandcastle (= ${PROJECT_VERSION})")
# A sandbox has the host's programs: these show one in it (docs/desktop.md).
set(CPACK_DEBIAN_DESKTOP_PACKAGE_RECOMMENDS "sway, xwayland, dbus-daemon, udev, foot, shared-mime-info")
# A sandbox boots the host's own kernel; a host that has booted has one, a container has not.
set(CPACK_DEBIAN_HEADLESS_PACKAGE_RECOMMENDS linux-image-amd64)
# In force where AppArmor keeps users from namespaces (docs/confinement.md).
set(CPACK_DEBIAN_HEADLESS_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/packaging/debian/postinst ${CMAKE_SOURCE_DIR}/packaging/debian/postrm)
set(CPACK_DEBIAN_HEADLESS_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# The library: who links to it depends on this package, and ldconfig learns of it.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/package)
include(CPack)
